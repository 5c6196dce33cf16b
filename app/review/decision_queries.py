"""What people said about instances: decisions, and the guideline they were made under. Touches the tables, reading only."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Select,
    bindparam,
    func,
    select,
)
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.pipeline import READINGS, Action, Stream
from app.review.judgement import Text
from app.review.overlap import Opinion, Policy
from app.review.policy import policy_in
from app.review.revisions import text_at
from app.storage.tables import (
    Decision,
    Draft,
    Guideline,
    GuidelineSeen,
    Instance,
    Lease,
    Person,
    Project,
    ReviewPolicy,
    RuleOverride,
    VerdictRow,
)

# What every decision asks is put together once: building such a statement takes longer than Postgres does with it.
_PROJECT, _PERSON, _INSTANCE = (
    bindparam(name, type_=BigInteger) for name in ("project_id", "person_id", "instance_id")
)


def decision(session: Session, decision_id: int) -> Decision:
    """Raises NotFound."""
    found = session.get(Decision, decision_id)
    if found is None:
        raise NotFound(f"there is no decision {decision_id}")
    return found


def decision_of(session: Session, decision_id: int, person_id: int) -> Decision:
    """Raises NotFound, also for other people's."""
    found = session.get(Decision, decision_id)
    if found is None or found.person_id != person_id:
        raise NotFound(f"you have made no decision {decision_id}")
    return found


def reasons_given(session: Session, project_id: int) -> list[tuple[str, str, int]]:
    """(reason, action, standing decisions) of the work stream, bulk actions too; the most frequent first."""
    query = (
        select(Decision.reason, Decision.action, func.count())
        .where(
            Decision.project_id == project_id,
            Decision.stream == Stream.WORK,
            Decision.reason.is_not(None),
            Decision.undone_at.is_(None),
        )
        .group_by(Decision.reason, Decision.action)
        .order_by(func.count().desc(), Decision.reason)
    )
    return [(str(reason), action, times) for reason, action, times in session.execute(query)]


def overrides_of(session: Session, decision_id: int) -> dict[str, str]:
    """A person's own answers beside the machine's, by rule."""
    rows = session.scalars(select(RuleOverride).where(RuleOverride.decision_id == decision_id))
    return {one.rule: one.answer for one in rows}


RECENT = (
    select(Decision.id)
    .where(
        Decision.project_id == _PROJECT,
        Decision.person_id == _PERSON,
        Decision.stream == Stream.WORK,
        Decision.bulk_action_id.is_(None),
        Decision.undone_at.is_(None),
    )
    .order_by(Decision.id.desc())
    .limit(bindparam("depth", type_=BigInteger))
)


def recent_decisions(session: Session, project_id: int, person_id: int, depth: int) -> Sequence[int]:
    """The numbers of this person's newest standing decisions of the work stream, newest first.

    Those of a bulk action are not theirs.
    """
    asked = {"project_id": project_id, "person_id": person_id, "depth": depth}
    return session.scalars(RECENT, asked).all()


def deciding(session: Session, instance_id: int, *, after: int = 0) -> tuple[Decision, str] | None:
    """The newest standing decision that changed the instance's status, and who made it; later than `after`."""
    query = (
        select(Decision, Person.name)
        .join(Person, Person.id == Decision.person_id)
        .where(
            Decision.instance_id == instance_id,
            Decision.stream == Stream.WORK,
            Decision.undone_at.is_(None),
            Decision.action != Action.SKIP,
            Decision.id > after,
        )
        .order_by(Decision.id.desc())
        .limit(1)
    )
    row = session.execute(query).first()
    return (row[0], row[1]) if row else None


_READING_OF = (
    select(Decision)
    .where(
        Decision.instance_id == _INSTANCE,
        Decision.person_id == _PERSON,
        Decision.stream == Stream.WORK,
        Decision.round == bindparam("round", type_=BigInteger),
        Decision.action.in_(READINGS),
        Decision.undone_at.is_(None),
    )
    .order_by(Decision.id.desc())
    .limit(1)
)


def reading_of(session: Session, row: Instance, person_id: int) -> Decision | None:
    """What this person has said about the instance in the present round, skips apart."""
    asked = {"instance_id": row.id, "person_id": person_id, "round": row.round}
    return session.scalars(_READING_OF, asked).one_or_none()


class Met(NamedTuple):
    """What stands on an instance that is locked for a reader."""

    a_lease: bool  # anybody's, run out or not
    own_reading: bool  # the reader's, of the present round


_MET = select(
    select(Lease.id).where(Lease.instance_id == _INSTANCE, Lease.stream == Stream.WORK).exists(),
    _READING_OF.with_only_columns(Decision.id).order_by(None).limit(None).exists(),
)


def met_on(session: Session, row: Instance, person_id: int) -> Met:
    asked = {"instance_id": row.id, "person_id": person_id, "round": row.round}
    return Met(*session.execute(_MET, asked).one())


class Standing(NamedTuple):
    """One reader's word on an instance, whole."""

    decision: Decision
    person: str
    opinion: Opinion


def _in_round(row: Instance, *actions: Action) -> Select[Decision, str]:
    """(decision, who) of the present round that stand, the first one first."""
    return (
        select(Decision, Person.name)
        .join(Person, Person.id == Decision.person_id)
        .where(
            Decision.instance_id == row.id,
            Decision.stream == Stream.WORK,
            Decision.round == row.round,
            Decision.action.in_(actions),
            Decision.undone_at.is_(None),
        )
        .order_by(Decision.id)
    )


def opinions(session: Session, row: Instance) -> list[Standing]:
    """What the readers of the present round said, the first one first."""
    query = _in_round(row, *READINGS).where(~Decision.is_adjudication, Decision.bulk_action_id.is_(None))
    return [
        Standing(one, name, Opinion(one.id, one.person_id, one.action, _text_left_by(session, row, one)))
        for one, name in session.execute(query)
    ]


def skips(session: Session, row: Instance) -> list[tuple[Decision, str]]:
    """(skip, who) of the present round, the oldest first."""
    return [(decision, name) for decision, name in session.execute(_in_round(row, Action.SKIP))]


def revision_left_by(decision: Decision) -> int:
    return decision.revision if decision.new_revision is None else decision.new_revision


def _text_left_by(session: Session, row: Instance, decision: Decision) -> Text:
    return text_at(session, row, revision_left_by(decision))


def guideline_in_force(session: Session, project_id: int) -> Guideline | None:
    query = (
        select(Guideline)
        .where(Guideline.project_id == project_id)
        .order_by(Guideline.version.desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def guideline_version(session: Session, project_id: int) -> int | None:
    """The version in force, without its text."""
    return session.scalar(select(func.max(Guideline.version)).where(Guideline.project_id == project_id))


class OnScreen(NamedTuple):
    """What a reader decides under: by numbers, without the texts."""

    guideline_version: int | None
    verdict_id: int | None
    has_draft: bool
    policy: Policy


_ON_SCREEN = (
    select(
        select(func.max(Guideline.version)).where(Guideline.project_id == _PROJECT).scalar_subquery(),
        select(func.max(VerdictRow.id)).where(VerdictRow.instance_id == _INSTANCE).scalar_subquery(),
        select(Draft.person_id).where(Draft.person_id == _PERSON, Draft.instance_id == _INSTANCE).exists(),
        ReviewPolicy,
    )
    .select_from(Project)
    .outerjoin(ReviewPolicy, ReviewPolicy.project_id == Project.id)
    .where(Project.id == _PROJECT)
)


def on_screen(session: Session, row: Instance, person_id: int) -> OnScreen:
    asked = {"project_id": row.project_id, "instance_id": row.id, "person_id": person_id}
    guideline, verdict_id, has_draft, policy = session.execute(_ON_SCREEN, asked).one()
    return OnScreen(guideline, verdict_id, bool(has_draft), policy_in(policy))


def guideline_version_seen(session: Session, project_id: int, person_id: int) -> int:
    """The newest version that the person has opened; 0 for none."""
    seen = session.get(GuidelineSeen, {"person_id": person_id, "project_id": project_id})
    return seen.version if seen else 0


class Step(NamedTuple):
    """Where one is among one's last decisions: numbers of decisions, or none; `newer` 0 is the present card."""

    older: int | None
    newer: int | None


def steps_from(recent: Sequence[int], decision_id: int | None) -> Step:
    """The decisions beside this one; beside the present card (None) there is only the newest."""
    if decision_id is None:
        return Step(recent[0] if recent else None, None)
    if decision_id not in recent:
        return Step(None, 0)
    at = recent.index(decision_id)
    return Step(recent[at + 1] if at + 1 < len(recent) else None, recent[at - 1] if at else 0)
