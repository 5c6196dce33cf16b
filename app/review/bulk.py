"""One action on everything that matches a filter, and taking it back. Touches the tables, in set-based SQL.

Every instance gets the decision that a reader would have left, in the caller's one transaction. Drafts stay:
nobody sees them while an instance is decided, and after an undo they are what they were.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, case, delete, func, literal, null, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on, insert
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import Conflict, InvalidInput
from app.pipeline import STATUS_AFTER_MOVE, Action, Move, Stream
from app.prompting.exemplars import text_hash
from app.review import bulk_queries, decision_queries
from app.review.bank import NOT_MET, case_of
from app.review.cases import frozen_by_a_run
from app.review.filters import Filters
from app.review.judgement import PAST, Judgement, Text, checked_note, checked_reason
from app.review.recording import STATE
from app.storage.locks import lock_project
from app.storage.tables import (
    BulkAction,
    Decision,
    Exemplar,
    Instance,
    Lease,
    Person,
    Project,
    RuleAnswer,
    VerdictRow,
)

MOST_AT_ONCE = 10_000  # a browser waits for it
_HASHED_AT_ONCE = 1_000
# The statements change rows that the session has not read; to look for them in it would fetch them all.
_UNSEEN = {"synchronize_session": False}
# As `recording.begin_round`.
_NEW_ROUND: dict[str, Any] = {"round": Instance.round + 1, "readings": 0, "readings_wanted": None}


class Asked(NamedTuple):
    """What was confirmed. `rows` and `newest` name the set that was on screen."""

    move: Move
    reason: str | None
    note: str
    rows: int
    newest: int


def act(session: Session, person: Person, project: Project, filters: Filters, asked: Asked) -> BulkAction:
    """Decide on everything that matches and may be changed.

    Raises:
        Conflict: what matches is not what was on screen any more.
        InvalidInput: nothing or too much matches; a reason that is missing or unknown. Names the field.
    """
    judgement = _checked(asked, project.reasons)
    lock_project(session, project.id)  # a lot that is being frozen stands by then, or has not been chosen yet
    instance_ids = _locked(session, person, project, filters, asked)
    action = BulkAction(
        project_id=project.id,
        person_id=person.id,
        action=asked.move,
        filters={name: value for name, value in filters._asdict().items() if value},
        reason=judgement.reason,
        note=judgement.note,
        count=len(instance_ids),
    )
    session.add(action)
    session.flush()
    _hash_texts(session, instance_ids)
    _add_decisions(session, action, instance_ids)
    if asked.move in (Move.ACCEPT, Move.REJECT):
        _keep_cases(session, instance_ids, judgement)
    else:
        _forget_cases(session, instance_ids)
    session.execute(
        update(Instance)
        .where(Instance.id == func.any(instance_ids))
        .values(status=STATUS_AFTER_MOVE[asked.move], **(_NEW_ROUND if asked.move is Move.RESTORE else {}))
        .execution_options(**_UNSEEN)
    )
    _end_leases(session, instance_ids)
    _log(session, person, f"instances {PAST[asked.move]} in bulk", action)
    return action


def _checked(asked: Asked, reasons: Sequence[str]) -> Judgement:
    """As a reader's own; a withdrawal and a restoring may have a reason, as accepting may."""
    action = Action.REJECT if asked.move is Move.REJECT else Action.ACCEPT
    judgement = Judgement(action, asked.reason, asked.note, {}, {})
    return judgement._replace(reason=checked_reason(judgement, reasons), note=checked_note(judgement))


def _locked(
    session: Session, person: Person, project: Project, filters: Filters, asked: Asked
) -> Sequence[int]:
    """The numbers of the instances to change, their rows locked."""
    query = bulk_queries.acted_on(session, project.id, person.id, asked.move, filters)
    locked = session.scalars(query.limit(MOST_AT_ONCE + 1).with_for_update(of=Instance)).all()
    if len(locked) > MOST_AT_ONCE:
        raise InvalidInput(
            f"At most {MOST_AT_ONCE:,} instances are changed at once: narrow the filter, act, and go on",
            "rows",
        )
    # Looked at again: a reader may have been given one while this waited for its lock.
    here = select(Instance.id).where(
        Instance.id == func.any(locked), bulk_queries.may_move(asked.move, person.id)
    )
    instance_ids = session.scalars(here.order_by(Instance.id)).all()
    if (len(instance_ids), max(instance_ids, default=0)) != (asked.rows, asked.newest):
        raise Conflict(
            f"what matches has changed: it was {asked.rows:,} instances and is {len(instance_ids):,} now"
        )
    if not instance_ids:
        raise InvalidInput("Nothing that matches can be changed this way", "rows")
    return instance_ids


def _add_decisions(session: Session, action: BulkAction, instance_ids: Sequence[int]) -> None:
    version = decision_queries.guideline_version(session, action.project_id)
    values = {
        "project_id": Instance.project_id,
        "instance_id": Instance.id,
        "person_id": literal(action.person_id),
        "stream": literal(Stream.WORK.value),
        "action": literal(str(action.action)),
        "reason": literal(action.reason),
        "note": literal(action.note),
        "revision": Instance.revision,
        "verdict_id": _newest_verdict(),
        "guideline_version": null() if version is None else literal(version),
        "bulk_action_id": literal(action.id),
        "round": Instance.round,
        "before": func.jsonb_build_object(*_state(), "case", _case_in_bank()),
    }
    rows = select(*values.values()).where(Instance.id == func.any(instance_ids)).order_by(Instance.id)
    session.execute(insert(Decision).from_select(list(values), rows, include_defaults=False))


def _state() -> list[Any]:
    """Names and values, as `recording.state_of`."""
    return [part for name in STATE for part in (name, getattr(Instance, name))]


def _newest_verdict() -> ColumnElement[int]:
    return (
        select(func.max(VerdictRow.id))
        .where(VerdictRow.instance_id == Instance.id)
        .correlate(Instance)
        .scalar_subquery()
    )


def _before(name: str) -> ColumnElement[int]:
    """A number of the state before the action; an action from before there were rounds kept none and changed none."""
    was = Decision.before[name].astext.cast(BigInteger)
    return case((Decision.before.has_key(name), was), else_=getattr(Instance, name))


def _end_leases(session: Session, instance_ids: Sequence[int]) -> None:
    """Those that are left on the locked instances have run out, or are the actor's own."""
    session.execute(
        delete(Lease)
        .where(Lease.instance_id == func.any(instance_ids), Lease.stream == Stream.WORK)
        .execution_options(**_UNSEEN)
    )


def _log(session: Session, person: Person, what: str, action: BulkAction) -> None:
    detail = {
        "bulk_action": action.id,
        "filters": action.filters,
        "reason": action.reason,
        "instances": action.count,
    }
    if action.taken_back is not None:
        detail["taken_back"] = action.taken_back
    log(session, person.id, what, f"bulk action {action.id}", detail, project_id=action.project_id)


# --- the example bank -------------------------------------------------------------------------------------

_OF_THE_INSTANCE = ("project_id", "task", "language", "instruction", "information", "solution")
_OF_THE_CASE = ("instance_id", "is_good", "origin", "analysis")


def _hash_texts(session: Session, instance_ids: Sequence[int]) -> None:
    """The bank knows texts by their hash, and rows from before there was one have none."""
    texts = select(
        Instance.id, Instance.task, Instance.instruction, Instance.information, Instance.solution
    ).where(Instance.id == func.any(instance_ids), Instance.text_hash.is_(None))
    for rows in session.execute(texts.execution_options(yield_per=_HASHED_AT_ONCE)).partitions():
        session.execute(update(Instance), [{"id": row[0], "text_hash": text_hash(*row[1:])} for row in rows])


def _case_in_bank() -> ColumnElement[object]:
    """The judged case that the bank holds of an instance's text, as JSON; null for none."""
    pairs = [part for name in _OF_THE_CASE for part in (literal(name), getattr(Exemplar, name))]
    return select(func.jsonb_build_object(*pairs)).where(_same_text()).correlate(Instance).scalar_subquery()


def _same_text() -> ColumnElement[bool]:
    return (Exemplar.project_id == Instance.project_id) & (Exemplar.content_hash == Instance.text_hash)


def _keep_cases(session: Session, instance_ids: Sequence[int], judgement: Judgement) -> None:
    """As `service` keeps one: the last judgement of a text stands, but for a case that a run has frozen."""
    nothing = Text("", "", "")
    judged = case_of(judgement, nothing, nothing, ())
    if judged is None:
        return
    analysis: ColumnElement[str] = literal(judged.analysis)
    if not judged.is_good:
        analysis = func.concat_ws(" ", analysis, _failing_rules())
    values = {name: getattr(Instance, name) for name in _OF_THE_INSTANCE} | {
        "content_hash": Instance.text_hash,
        "instance_id": Instance.id,
        "is_good": literal(judged.is_good),
        "origin": literal("person"),
        "analysis": analysis,
    }
    rows = (
        select(*values.values())
        .where(Instance.id == func.any(instance_ids))
        .ext(distinct_on(Instance.text_hash))
        .order_by(Instance.text_hash, Instance.id.desc())
    )
    adding = insert(Exemplar).from_select(list(values), rows, include_defaults=False)
    session.execute(
        adding.on_conflict_do_update(
            index_elements=[Exemplar.project_id, Exemplar.content_hash],
            set_={name: getattr(adding.excluded, name) for name in _OF_THE_CASE},
            where=~frozen_by_a_run(),
        )
    )


def _failing_rules() -> ColumnElement[str | None]:
    """What the newest verdict says against an instance, in the words of `bank`."""
    reason = literal(" (") + func.nullif(RuleAnswer.reason, "") + literal(")")  # null where there is none
    words = func.concat(NOT_MET, RuleAnswer.text, reason)
    return (
        select(func.string_agg(words, aggregate_order_by(literal(" "), RuleAnswer.id)))
        .where(RuleAnswer.verdict_id == _newest_verdict(), RuleAnswer.answer == "no")
        .correlate(Instance)
        .scalar_subquery()
    )


def _forget_cases(session: Session, instance_ids: Sequence[int]) -> None:
    """Take people's cases of these instances out of the bank, where no run has frozen them."""
    session.execute(
        delete(Exemplar)
        .where(
            Instance.id == func.any(instance_ids),
            Exemplar.instance_id == Instance.id,
            _same_text(),
            Exemplar.origin == "person",
            ~frozen_by_a_run(),
        )
        .execution_options(**_UNSEEN)
    )


def _bring_cases_back(session: Session, decision_ids: Sequence[int]) -> None:
    """Put into the bank what it held of a text before these decisions."""
    of_case = {name: Decision.before["case"][name].astext for name in _OF_THE_CASE}
    values = {name: getattr(Instance, name) for name in _OF_THE_INSTANCE} | {
        "content_hash": Instance.text_hash,
        **of_case,
        "instance_id": of_case["instance_id"].cast(Exemplar.instance_id.type),
        "is_good": of_case["is_good"].cast(Exemplar.is_good.type),
    }
    rows = (
        select(*values.values())
        .join(Decision, Decision.instance_id == Instance.id)
        .where(Decision.id == func.any(decision_ids), Decision.before["case"].astext.is_not(None))
    )
    session.execute(
        insert(Exemplar).from_select(list(values), rows, include_defaults=False).on_conflict_do_nothing()
    )


# --- taking back ------------------------------------------------------------------------------------------


def undo(session: Session, person: Person, project: Project, bulk_action_id: int) -> BulkAction:
    """Take back every decision of the action that nobody has decided on since; what is being read stays.

    Raises:
        NotFound: the project has no such action.
        Conflict: it is undone already.
    """
    lock_project(session, project.id)  # as in `act`
    action = bulk_queries.past_action(session, project.id, bulk_action_id).row
    session.refresh(action, with_for_update=True)
    if action.undone_at is not None:
        raise Conflict(f"bulk action {action.id} is undone already")
    decided = select(Decision.instance_id).where(Decision.bulk_action_id == action.id)
    session.execute(
        select(Instance.id).where(Instance.id.in_(decided)).order_by(Instance.id).with_for_update(of=Instance)
    )
    pairs = session.execute(bulk_queries.standing(action, person.id)).all()
    decision_ids, instance_ids = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    _forget_cases(session, instance_ids)
    _bring_cases_back(session, decision_ids)
    mine = func.any(decision_ids)
    session.execute(
        update(Decision).where(Decision.id == mine).values(undone_at=func.now()).execution_options(**_UNSEEN)
    )
    session.execute(
        update(Instance)
        .where(Instance.id == Decision.instance_id, Decision.id == mine)
        .values(**{name: _before(name) for name in STATE if name != "status"})
        .values(status=Decision.before["status"].astext)
        .execution_options(**_UNSEEN)
    )
    _end_leases(session, instance_ids)
    action.undone_at = session.scalar(select(func.now()))
    action.taken_back = len(pairs)
    _log(session, person, "bulk action undone", action)
    return action
