"""How good the machine's opinions are, as people's decisions tell, and how far people agree. What is not measured says so."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from app.accounts.roles import role_in
from app.dashboard import audits, judged, progress, queries, readings
from app.dashboard.agreement import Estimate, Pattern, agreement, pairs
from app.dashboard.audits import AuditNow
from app.dashboard.judge_api import Confusion, confusion_shape
from app.dashboard.progress import Period, Tallies
from app.pipeline import Action, AuditState, Role
from app.web.dependencies import ApiCaller, DbSession, ReadProject
from app.web.idempotency import api_router

router = api_router(tags=["quality"])

MOST_PAIRS = 200


class ByVerdict(BaseModel):
    """People's standing decisions on instances with this verdict. `accept_rate`: of those decided, skips apart."""

    verdict: str | None = Field(
        description="pass, fail, invalid, or null: decided without one", examples=["pass"]
    )
    accept: int
    edit: int
    reject: int
    skip: int
    accept_rate: float | None = Field(description="(accept + edit) / (accept + edit + reject)")


class Overruled(BaseModel):
    """How often people answered a rule themselves."""

    rule: str
    machine: str
    person: str
    decisions: int


class Figure(BaseModel):
    """A figure with its 95 % interval. No `value`: too few units, or undefined because all answers are the same."""

    units: int
    value: float | None = Field(examples=[0.71])
    low: float | None = Field(examples=[0.62])
    high: float | None = Field(examples=[0.79])


class PairOfReaders(BaseModel):
    people: tuple[str, str]
    kappa: Figure = Field(description="Cohen's, over accept, edit and reject")


class AgreementShape(BaseModel):
    """Of readers who read the same instances blind. A unit: an instance in one round with two readings or more."""

    units: int
    share: Figure = Field(description="units whose readers all gave the same answer; Wilson's interval")
    alpha: Figure = Field(
        description="Krippendorff's, nominal, over accept, edit and reject; bootstrap interval"
    )
    alpha_kept: Figure = Field(description="the same over kept (accept, edit) and rejected")
    pairs: list[PairOfReaders] = Field(description=f"the {MOST_PAIRS} pairs that share the most units")
    pair_count: int = Field(description="pairs that share any")


class Progress(BaseModel):
    """Standing decisions of one person, made one by one; `bulk` is in none of the others."""

    person: str
    today: int = Field(description="accepted, edited or rejected since midnight (UTC)")
    last_7_days: int
    ever: int
    accept: int
    edit: int
    reject: int
    skip: int
    bulk: int


class AuditShape(BaseModel):
    """The newest open audit, else the newest. All of it stands at `/api/v1/audits/{id}`."""

    id: int = Field(examples=[7])
    state: str = Field(description="open, certified, failed or abandoned", examples=["open"])
    max_defect_rate: float = Field(examples=[0.02])
    alpha: float = Field(examples=[0.05])
    rows: int = Field(description="of the part that is drawn from", examples=[19915])
    draws: int = Field(description="that count so far")
    defects: int = Field(description="among them")
    tolerance: int | None = Field(
        description="Defects that may be in the drawn part; null: the census goes on"
    )
    upper_bound: int = Field(description="Most defects in the drawn part that are not ruled out")
    certified_at: int | None = Field(description="draws")
    expected_draws_left: float | None = Field(description="null: at the present rate it would not pass")
    reviews_left: int | None


class Quality(BaseModel):
    """Counts of what people decided, how far they agree; what is not measured yet says so."""

    decisions: list[ByVerdict] = Field(
        examples=[[{"verdict": "pass", "accept": 40, "edit": 6, "reject": 4, "skip": 1, "accept_rate": 0.92}]]
    )
    overruled: list[Overruled] = Field(
        examples=[[{"rule": "readable", "machine": "yes", "person": "no", "decisions": 2}]]
    )
    calibration: Confusion = Field(description="verdicts against people; more at `quality/judge`")
    agreement: AgreementShape | None = Field(description="for administrators of the project, else null")
    people: list[Progress] = Field(
        description="everybody for administrators of the project, else only the caller"
    )
    audit: AuditShape | None = Field(description="null: there was none yet")


@router.get("/projects/{project}/quality")
def quality(session: DbSession, project: ReadProject, caller: ApiCaller) -> Quality:
    """People's decisions against the verdicts they saw, and against each other's."""
    by_verdict: dict[str | None, dict[str, int]] = {}
    for verdict, action, number in queries.decisions_by_verdict(session, project.id):
        by_verdict.setdefault(verdict, dict.fromkeys(Action, 0))[Action(action)] = number
    leads = role_in(session, caller, project.id) == Role.ADMIN
    tallies = progress.tallies(session, project.id, Period.ALL)
    names = {one.person_id: one.name for one in progress.readers(session, project.id, tallies)}
    seen = names if leads else {caller.person.id: caller.person.name}
    return Quality(
        decisions=[_by_verdict(verdict, actions) for verdict, actions in by_verdict.items()],
        overruled=[
            Overruled(rule=rule, machine=machine, person=person, decisions=number)
            for rule, machine, person, number in queries.overruled_rules(session, project.id)
        ],
        calibration=confusion_shape(judged.judged(session, project.id, Period.ALL).all),
        agreement=_agreement(readings.patterns(session, project.id, Period.ALL), names) if leads else None,
        people=[_progress(tallies, person_id, name) for person_id, name in seen.items()],
        audit=_audit(audits.audit_now(session, project.id)),
    )


def _audit(now: AuditNow | None) -> AuditShape | None:
    if now is None:
        return None
    audit, standing, outlook = now
    return AuditShape(
        id=audit.id,
        state=standing.state,
        max_defect_rate=audit.max_defect_rate,
        alpha=audit.alpha,
        rows=audit.rows,
        draws=standing.draws,
        defects=standing.defects,
        tolerance=standing.tolerance,
        upper_bound=outlook.upper_bound,
        certified_at=standing.certified_at if standing.state == AuditState.CERTIFIED else None,
        expected_draws_left=outlook.draws_left,
        reviews_left=outlook.reviews_left,
    )


def _agreement(patterns: Sequence[Pattern], names: Mapping[int, str]) -> AgreementShape:
    figures = agreement(patterns)
    closest, pair_count = pairs(patterns, MOST_PAIRS)
    return AgreementShape(
        units=figures.share.units,
        share=_figure(figures.share),
        alpha=_figure(figures.alpha),
        alpha_kept=_figure(figures.alpha_kept),
        pairs=[
            PairOfReaders(people=(names[one.people[0]], names[one.people[1]]), kappa=_figure(one.kappa))
            for one in closest
        ],
        pair_count=pair_count,
    )


def _figure(estimate: Estimate) -> Figure:
    return Figure(**estimate._asdict())


def _progress(tallies: Tallies, person_id: int, name: str) -> Progress:
    tally = progress.of_person(tallies, person_id)._asdict()
    return Progress(person=name, last_7_days=tally.pop("week"), **tally)


def _by_verdict(verdict: str | None, actions: dict[str, int]) -> ByVerdict:
    kept = actions[Action.ACCEPT] + actions[Action.EDIT]
    decided = kept + actions[Action.REJECT]
    return ByVerdict(verdict=verdict, accept_rate=kept / decided if decided else None, **actions)
