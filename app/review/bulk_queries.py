"""What an action on everything that matches would do, and what past ones did. Touches the tables, reading only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, case, exists, false, func, select, true
from sqlalchemy.orm import Session, aliased

from app.errors import NotFound
from app.pipeline import HAVE_TEXT, STATUS_AFTER_MOVE, Action, AuditState, Move, Stream
from app.review.filters import Filters, ids_matching, rows_of
from app.review.shapes import InstanceRow
from app.review.work_queue import held_by_another
from app.storage.keyset import newest_first
from app.storage.tables import Audit, BulkAction, Decision, Instance, LotRow, Person

EXAMPLES = 10


class Preview(NamedTuple):
    """What would happen now. `newest` is the highest number of the `rows`, 0 for none: together they name the set."""

    rows: int
    newest: int
    statuses: Mapping[str, int]  # of the instances acted on, as they are before
    left_out: Mapping[str, int]  # by why
    examples: Sequence[InstanceRow]


def preview(session: Session, project_id: int, person_id: int, move: Move, filters: Filters) -> Preview:
    """Exact counts, whatever the number of instances."""
    found = (
        select(Instance.id, Instance.status, _why_not(move, person_id).label("why"))
        .where(Instance.id.in_(ids_matching(session, project_id, filters)))
        .subquery()
    )
    counts = session.execute(
        select(found.c.status, found.c.why, func.count(), func.max(found.c.id)).group_by(
            found.c.status, found.c.why
        )
    ).all()
    statuses: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for status, why, rows, _ in counts:
        (left_out if why else statuses)[why or status] += rows
    return Preview(
        statuses.total(),
        max((newest for _, why, _, newest in counts if why is None), default=0),
        statuses,
        left_out,
        rows_of(session, acted_on(session, project_id, person_id, move, filters).limit(EXAMPLES)),
    )


def acted_on(session: Session, project_id: int, person_id: int, move: Move, filters: Filters) -> Select[int]:
    """The numbers of the instances that the move changes, in order."""
    return (
        select(Instance.id)
        .where(Instance.id.in_(ids_matching(session, project_id, filters)), may_move(move, person_id))
        .order_by(Instance.id)
    )


def may_move(move: Move, person_id: int) -> ColumnElement[bool]:
    return _why_not(move, person_id).is_(None)


def _why_not(move: Move, person_id: int) -> ColumnElement[str | None]:
    """Why an instance is left out, in words; null where it is not."""
    after = STATUS_AFTER_MOVE[move]
    return case(
        (Instance.status.not_in(HAVE_TEXT), func.concat(Instance.status, ": there is no text to decide on")),
        (Instance.status == after, f"already {after}"),
        # What has to go, a takedown, goes also out of a lot: the audit counts it as taken out.
        (false() if move is Move.WITHDRAW else in_an_open_lot(), "frozen for an audit"),
        (held_by_another(person_id), "in the hands of another reader"),
        else_=None,
    )


def in_an_open_lot() -> ColumnElement[bool]:
    """The instance is in the lot of an audit that people are reading: nothing is done to it in bulk meanwhile."""
    return exists().where(
        LotRow.instance_id == Instance.id, Audit.id == LotRow.audit_id, Audit.state == AuditState.OPEN
    )


# --- past ones --------------------------------------------------------------------------------------------


class PastAction(NamedTuple):
    row: BulkAction
    by: str  # the person's name


def past_actions(session: Session, project_id: int, before: int | None, limit: int) -> list[PastAction]:
    """The newest first."""
    found = session.execute(newest_first(_past(project_id), BulkAction.id, before, limit))
    return [PastAction(row, name) for row, name in found]


def past_action(session: Session, project_id: int, bulk_action_id: int) -> PastAction:
    """Raises NotFound, also for another project's."""
    found = session.execute(_past(project_id).where(BulkAction.id == bulk_action_id)).one_or_none()
    if found is None:
        raise NotFound(f"there is no bulk action {bulk_action_id} in this project")
    return PastAction(*found)


def _past(project_id: int) -> Select[BulkAction, str]:
    return (
        select(BulkAction, Person.name)
        .join(Person, Person.id == BulkAction.person_id)
        .where(BulkAction.project_id == project_id)
    )


def standing(row: BulkAction, person_id: int) -> Select[int, int]:
    """(decision, instance) of an action that can be taken back: nobody decided since, nobody is reading it."""
    later = aliased(Decision)
    decided_since = exists().where(
        later.instance_id == Decision.instance_id,
        later.id > Decision.id,
        later.stream == Stream.WORK,
        later.undone_at.is_(None),
        later.action != Action.SKIP,
    )
    return (
        select(Decision.id, Decision.instance_id)
        .join(Instance, Instance.id == Decision.instance_id)
        .where(
            Decision.bulk_action_id == row.id,
            Decision.undone_at.is_(None),
            Instance.status == STATUS_AFTER_MOVE[Move(row.action)],
            ~decided_since,
            true() if row.action == Move.WITHDRAW else ~in_an_open_lot(),
            ~held_by_another(person_id),
        )
    )
