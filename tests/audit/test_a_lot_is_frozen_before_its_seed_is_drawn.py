"""Which rows are in a lot, what stands in the log before there is a seed, and the order that follows from it."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.guarantee.lot import Frozen, content_hash, lot_hash, order, order_hash, read_twice
from app.pipeline import InstanceStatus, Part
from app.rows.codeocean import codeocean
from app.storage.rows import Chosen, admitted_rows
from app.storage.tables import Evidence, LogEntry, Project
from tests.audit.lots import lot_of, make_audit, make_instances
from tests.factories import make_project


def frozen(session: Session, audit: Any) -> list[Frozen]:
    rows = [*lot_of(session, audit), *lot_of(session, audit, Part.CENSUS)]
    return [Frozen(row.row_id, row.content_hash, row.part) for row in rows]


def test_everything_with_text_that_nobody_threw_out_is_in_it(session: Session, project: Project) -> None:
    taken = [
        *make_instances(session, project, 2),
        *make_instances(session, project, 1, status=InstanceStatus.DISPUTED),
        *make_instances(session, project, 1, status=InstanceStatus.ACCEPTED),
    ]
    for status in (InstanceStatus.REJECTED, InstanceStatus.WITHDRAWN, InstanceStatus.UNUSABLE):
        make_instances(session, project, 1, status=status)
    make_instances(session, make_project(session), 1)

    audit = make_audit(session, project)

    assert audit.rows == 4
    assert {row.instance_id for row in lot_of(session, audit)} == {one.id for one in taken}


def test_a_row_is_frozen_as_a_release_would_have_it(session: Session, project: Project) -> None:
    (instance,) = make_instances(session, project, 1)

    (row,) = lot_of(session, make_audit(session, project))

    (admitted,) = admitted_rows(session, [Chosen(instance.id, 0)])
    released = codeocean(project.slug, admitted)
    assert (row.row_id, row.content_hash) == (released["id"], content_hash(released))


def test_the_lot_stands_in_the_log_before_the_seed(session: Session, project: Project) -> None:
    make_instances(session, project, 5)

    audit = make_audit(session, project)

    entries = session.scalars(
        select(LogEntry).where(LogEntry.project_id == project.id).order_by(LogEntry.id)
    ).all()
    assert [(entry.action, entry.subject) for entry in entries] == [
        ("lot frozen", f"audit {audit.id}"),
        ("seed drawn", f"audit {audit.id}"),
    ]
    assert entries[0].detail["lot_sha256"] == audit.lot_sha256 == lot_hash(frozen(session, audit))
    assert audit.seed not in str(entries[0].detail)
    assert entries[1].detail == {"seed": audit.seed, "order_sha256": audit.order_sha256}


def test_order_and_second_readings_follow_from_the_seed(session: Session, project: Project) -> None:
    make_instances(session, project, 40)

    audit = make_audit(session, project, double_share=0.5)

    rows = lot_of(session, audit)
    ids = [row.row_id for row in rows]
    assert [row.position for row in rows] == list(range(1, 41))
    assert ids == order(sorted(ids), audit.seed)
    assert audit.order_sha256 == order_hash(ids)
    assert [row.twice for row in rows] == [read_twice(row_id, audit.seed, 0.5) for row_id in ids]
    assert {row.twice for row in rows} == {True, False}


def test_two_lots_of_the_same_rows_have_the_same_hash_and_another_order(
    session: Session, project: Project
) -> None:
    make_instances(session, project, 20)

    one, other = make_audit(session, project), make_audit(session, project)

    assert one.lot_sha256 == other.lot_sha256
    assert one.seed != other.seed
    assert [row.row_id for row in lot_of(session, one)] != [row.row_id for row in lot_of(session, other)]


def suspicious(session: Session, project: Project) -> set[int]:
    """One of each kind, beside three that nothing speaks against; numbers of the suspicious ones."""
    failed, invalid, contradictory, broken, was_broken, *_ = make_instances(session, project, 7)
    failed.verdict, invalid.verdict, contradictory.contradictory = "fail", "invalid", True
    session.add(Evidence(instance_id=broken.id, revision=0, kind="names", result="fail"))
    session.add(Evidence(instance_id=was_broken.id, revision=5, kind="names", result="fail"))
    session.flush()
    return {failed.id, invalid.id, contradictory.id, broken.id}


def test_a_census_splits_the_suspicious_rows_off_and_orders_them_by_id(
    session: Session, project: Project
) -> None:
    wanted = suspicious(session, project)

    audit = make_audit(session, project, census="read")

    census = lot_of(session, audit, Part.CENSUS)
    assert {row.instance_id for row in census} == wanted
    assert [row.row_id for row in census] == sorted(row.row_id for row in census)
    assert (audit.rows, audit.census_rows, audit.dropped_rows) == (3, 4, 0)
    assert not any(row.twice for row in census)
    assert audit.lot_sha256 == lot_hash(frozen(session, audit))


def test_dropped_suspicious_rows_leave_the_lot_and_are_counted(session: Session, project: Project) -> None:
    wanted = suspicious(session, project)

    audit = make_audit(session, project, census="drop")

    assert not wanted & {row.instance_id for row in lot_of(session, audit)}
    assert (audit.rows, audit.census_rows, audit.dropped_rows) == (3, 0, 4)


def test_without_a_census_they_are_drawn_from_like_the_rest(session: Session, project: Project) -> None:
    suspicious(session, project)

    assert make_audit(session, project).rows == 7


def test_gates_act_before_the_freeze_and_say_what_they_did(session: Session, project: Project) -> None:
    make_instances(session, project, 2)
    make_instances(session, project, 2, instruction="The same.")

    audit = make_audit(session, project)
    admitting = make_audit(session, project, gates={"exact_duplicate": "admit"})

    assert (audit.rows, admitting.rows) == (3, 4)
    assert audit.gates["exact_duplicate"] == {"mode": "block", "found": 1, "removed": 1}
    assert audit.gates["secrets"] == "not checked"


def test_filters_choose_by_run_task_language_and_status(session: Session, project: Project) -> None:
    mine = make_instances(session, project, 2)
    make_instances(session, project, 1, task="repair")
    make_instances(session, project, 1, status=InstanceStatus.ACCEPTED)

    def rows(**filters: list[Any]) -> int:
        return make_audit(session, project, filters=filters).rows

    assert rows(runs=[mine[0].run_id]) == 2
    assert rows(runs=[str(mine[0].run_id)], tasks=["repair", "generation"]) == 2
    assert rows(tasks=["repair"], languages=["python"]) == 1
    assert rows(statuses=["accepted"]) == 1


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"max_defect_rate": 0}, "max_defect_rate"),
        ({"max_defect_rate": 1}, "max_defect_rate"),
        ({"max_defect_rate": float("nan")}, "max_defect_rate"),
        ({"alpha": 1.5}, "alpha"),
        ({"attempts": 0}, "attempts"),
        ({"attempts": 21}, "attempts"),
        ({"double_share": 1.1}, "double_share"),
        ({"census": "some"}, "census"),
        ({"gates": {"mood": "block"}}, "gates"),
        ({"filters": {"moods": ["good"]}}, "filters"),
        ({"filters": {"runs": ["all"]}}, "filters"),
        ({"filters": {"runs": [2**63]}}, "filters"),
        ({"filters": {"runs": [999_999_999]}}, "filters"),
        ({"filters": {"statuses": ["rejected"]}}, "filters"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_field(
    session: Session, project: Project, wanted: dict[str, Any], field: str
) -> None:
    make_instances(session, project, 1)

    with pytest.raises(InvalidInput) as refused:
        make_audit(session, project, **wanted)

    assert refused.value.field == field


def test_a_lot_without_rows_is_refused_and_says_what_keeps_them_out(
    session: Session, project: Project
) -> None:
    with pytest.raises(Conflict, match="nothing would be in this lot"):
        make_audit(session, project)
    make_instances(session, project, 2, verdict="fail")
    with pytest.raises(Conflict, match="all 2 rows that the filters and gates let through are suspicious"):
        make_audit(session, project, census="drop")


class TestLotsThatShareRows:
    """The risks of several attempts add up; what was declared before the first draw holds."""

    def test_the_second_is_attempt_two_of_those_declared(self, session: Session, project: Project) -> None:
        make_instances(session, project, 3)

        first = make_audit(session, project, attempts=3)
        second = make_audit(session, project, max_defect_rate=0.1)

        assert (first.attempt, first.attempts) == (1, 3)
        assert (second.attempt, second.attempts) == (2, 3)

    def test_a_lot_that_shares_no_row_is_a_first_one(self, session: Session, project: Project) -> None:
        one, other = make_instances(session, project, 3), make_instances(session, project, 3)

        make_audit(session, project, filters={"runs": [one[0].run_id]})
        audit = make_audit(session, project, filters={"runs": [other[0].run_id]}, attempts=2)

        assert (audit.attempt, audit.attempts) == (1, 2)

    def test_a_lot_that_shares_with_a_second_attempt_is_a_third(
        self, session: Session, project: Project
    ) -> None:
        one, other = make_instances(session, project, 3), make_instances(session, project, 3)
        make_audit(session, project, filters={"runs": [one[0].run_id]})
        make_audit(session, project)

        assert make_audit(session, project, filters={"runs": [other[0].run_id]}).attempt == 3

    def test_their_number_can_change_no_more(self, session: Session, project: Project) -> None:
        make_instances(session, project, 3)
        make_audit(session, project)

        with pytest.raises(InvalidInput, match="declared 1 attempts") as refused:
            make_audit(session, project, attempts=2)

        assert refused.value.field == "attempts"

    def test_a_declared_attempt_has_no_smaller_risk_than_those_before_it_took(
        self, session: Session, project: Project
    ) -> None:
        make_instances(session, project, 3)
        make_audit(session, project, attempts=2, alpha=0.1)

        with pytest.raises(InvalidInput) as refused:
            make_audit(session, project, alpha=0.05)

        assert refused.value.field == "alpha"

    def test_one_that_was_not_declared_is_frozen_all_the_same(
        self, session: Session, project: Project
    ) -> None:
        make_instances(session, project, 3)
        make_audit(session, project)

        second = make_audit(session, project, alpha=0.01)

        assert second.attempt > second.attempts
