from typing import Any

from sqlalchemy.orm import Session

from app.accounts.roles import Caller
from app.dashboard import queries
from app.dashboard.api import quality
from app.dashboard.funnel import Step, funnel
from app.pipeline import Action, InstanceStatus, RunKind, RunState, Scope, Verdict
from app.storage.tables import Decision, Project, RuleOverride, RunCount, Selection
from tests.factories import make_instance, make_person, make_pick, make_project, make_run, make_snippet
from tests.review.review_cases import judged

ADDED, SHORT, COPY, IMPORTED = 5, 3, 1, 4


def _project_with_every_status(session: Session) -> Project:
    """Five snippets of nine rows, three of them picked, one of these by two selections."""
    project = make_project(session)
    ingest = make_run(session, project, kind=RunKind.INGEST, state=RunState.COMPLETED)
    session.add_all(
        RunCount(run_id=ingest.id, code=code, rows=rows)
        for code, rows in (("added", ADDED), ("too_short", SHORT), ("duplicate", COPY))
    )
    brought = make_run(session, project, kind=RunKind.IMPORT, state=RunState.COMPLETED)
    session.add(RunCount(run_id=brought.id, code="added", rows=IMPORTED))
    session.add(RunCount(run_id=brought.id, code="empty_text", rows=1))
    snippets = [make_snippet(session, project) for _ in range(ADDED)]
    picks = [make_pick(session, snippet) for snippet in snippets[:3]]
    again = make_pick(session, snippets[0])
    assert session.get_one(Selection, again.selection_id).id != picks[0].selection_id
    under_way = make_run(session, project)
    over = make_run(session, project, state=RunState.CANCELLED)
    every: list[dict[str, Any]] = [
        {"status": InstanceStatus.GENERATING},
        {"status": InstanceStatus.GENERATING, "run": over},
        {"status": InstanceStatus.UNUSABLE, "unusable_reason": "cut_off"},
        {"status": InstanceStatus.WAITING, "verdict": Verdict.PASS},
        {"status": InstanceStatus.WAITING, "verdict": Verdict.FAIL, "contradictory": True},
        {"status": InstanceStatus.WAITING, "verdict": Verdict.INVALID},
        {"status": InstanceStatus.WAITING},
        {"status": InstanceStatus.ACCEPTED},
        {"status": InstanceStatus.ACCEPTED, "revision": 1},
        {"status": InstanceStatus.REJECTED},
        {"status": InstanceStatus.WITHDRAWN},
        {"status": InstanceStatus.DISPUTED},
    ]
    for candidate, values in enumerate(every):
        make_instance(session, picks[candidate % 3], **({"run": under_way, "candidate": candidate} | values))
    make_instance(session)  # of another project
    return project


def _parts(step: Step) -> dict[str, int]:
    return {part.label: part.number for part in step.parts}


def test_every_step_is_the_sum_of_its_parts_and_feeds_the_next(session: Session) -> None:
    project = _project_with_every_status(session)

    counts = queries.counts(session, project.id)
    rows, imported, snippets, instances, waiting = funnel(counts)

    assert (rows.total, imported.total, snippets.total, instances.total, waiting.total) == (9, 5, 5, 12, 4)
    assert _parts(imported) == {"kept as instances": 4, "refused: empty text": 1}
    assert _parts(rows) == {"kept as snippets": 5, "refused: too short": 3, "refused: duplicate": 1}
    assert _parts(rows)["kept as snippets"] == snippets.total == counts.snippets
    assert _parts(snippets) == {"picked": 3, "not picked": 2}
    assert _parts(instances) == {
        "accepted as it was": 1,
        "accepted after an edit": 1,
        "rejected": 1,
        "withdrawn": 1,
        "waiting for a person": waiting.total,
        "waiting for an adjudicator": 1,
        "unusable": 1,
        "being made": 1,
        "not made, its run is over": 1,
    }
    assert _parts(waiting) == {
        "verdict pass": 1,
        "verdict fail": 1,
        "verdict invalid": 1,
        "no verdict: imported": 1,
    }
    for step in (rows, imported, snippets, instances, waiting):
        assert round(sum(width for _, width, _ in step.bars), 6) == 100


def test_an_empty_project_has_no_funnel(session: Session) -> None:
    assert funnel(queries.counts(session, make_project(session).id)) == []


def test_quality_counts_standing_decisions_by_the_verdict_that_was_on_screen(session: Session) -> None:
    project, person = make_project(session), make_person(session)
    pick = make_pick(session, make_snippet(session, project))

    def decided(candidate: int, action: Action, rules: dict[str, str], **values: Any) -> Decision:
        instance = make_instance(session, pick, make_run(session, project), candidate=candidate)
        decision = Decision(
            project_id=project.id,
            instance_id=instance.id,
            person_id=person.id,
            stream="work",
            action=action,
            revision=0,
            verdict_id=judged(session, instance, rules).id,
            **values,
        )
        session.add(decision)
        session.flush()
        return decision

    fails = {"solves_it": "no"}
    overruling = decided(1, Action.ACCEPT, fails)
    session.add(RuleOverride(decision_id=overruling.id, rule="solves_it", answer="yes"))
    decided(2, Action.REJECT, fails)
    decided(3, Action.SKIP, fails)
    decided(4, Action.REJECT, fails, undone_at=overruling.created_at)

    answer = quality(session, project, Caller(person, Scope.READ))

    (by_fail,) = answer.decisions
    assert by_fail.model_dump() == {
        "verdict": "fail",
        "accept": 1,
        "edit": 0,
        "reject": 1,
        "skip": 1,
        "accept_rate": 0.5,
    }
    assert [one.model_dump() for one in answer.overruled] == [
        {"rule": "solves_it", "machine": "no", "person": "yes", "decisions": 1}
    ]
    assert (answer.calibration.units, answer.audit) == (2, None)
