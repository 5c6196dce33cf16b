"""Reading the stored replies of an ended run again after a change of the parsers: what would change, and changing it.

It asks no model. What says the same stays as it is; what people have decided on, read or drawn for an audit is left
alone and counted. The rest goes back into the queue, to be read again from its stored reply.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from app.engine.calls import last_replies
from app.engine.closing import add_counts, count_lanes
from app.engine.retry import await_readers, take_from_people
from app.engine.runs import ASKS_NOTHING, note, reopen_run
from app.errors import Conflict
from app.pipeline import OPEN_ITEMS, UNFINISHED_RUNS, InstanceStatus, ItemState, Outcome, RunState, Stage
from app.storage.tables import Call, Decision, Instance, Lease, LotRow, Run, SentBack, VerdictRow, WorkItem

MOST_AT_ONCE = 5_000  # instances; a longer run goes on from the cursor
_GROUP = 500
_STAGES = (Stage.GENERATE, Stage.DISCRIMINATE)
_READABLE = (RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS, RunState.PAUSED)
_SHOWN = 10  # examples of each kind


class Came(StrEnum):
    """What becomes of an instance when its replies are read again."""

    USABLE = "usable"  # there was no instance, or no verdict
    CHANGED = "changed"  # another text, or another verdict
    REFUSED = "refused"  # what was read before is not read any more
    MARKED = "marked"  # the same, more or less loosely read than its call says
    SAME = "same"
    DECIDED = "decided"  # left alone: a person has decided, or it is in the lot of an audit
    IN_HAND = "in_hand"  # left alone: somebody is reading it, or it is still being worked on
    SENT_BACK = "sent_back"  # left alone: what it says now came of its verdict
    OTHER_RULES = "other_rules"  # left alone: it was judged by rules that are no longer in force
    WITHOUT_REPLY = "without_reply"


_TO_READ_AGAIN = (Came.USABLE, Came.CHANGED, Came.REFUSED)
_MATTERS = (
    *_TO_READ_AGAIN,
    Came.MARKED,
    Came.OTHER_RULES,
    Came.SAME,
)  # of a text and its verdict, what counts


class Reread(NamedTuple):
    """What a stage makes of one reply now. `noted`: how it was read, as its call should say (code, detail)."""

    came: Came
    detail: str = ""
    noted: tuple[str | None, str | None] = (None, None)


Rereader = Callable[[Session, Sequence[Call]], Sequence[Reread]]
Rereaders = Mapping[Stage, Rereader]


class Example(NamedTuple):
    instance_id: int
    stage: str
    came: Came
    detail: str


class Found(NamedTuple):
    """How many instances come to what; `following`: the one to go on after, where there are more."""

    counts: dict[Came, int]
    examples: list[Example]
    following: int | None

    @property
    def again(self) -> int:
        return sum(self.counts[came] for came in _TO_READ_AGAIN)


def look(session: Session, run_id: int, rereaders: Rereaders, after: int = 0) -> Found:
    """What reading again would change, changing nothing. Raises `Conflict` for a run that is still going."""
    return _walk(session, run_id, rereaders, after, change=None)


def read_again(
    session: Session, run_id: int, rereaders: Rereaders, after: int = 0, person_id: int | None = None
) -> Found:
    """Put into the queue what reads differently now, and note on the other calls how they are read.

    The run goes on, but asks no model until somebody resumes it. Raises `Conflict` for a run that is going.
    """
    outcomes: Counter[tuple[int, str]] = Counter()
    lanes: Counter[tuple[int, str, bool]] = Counter()

    def change(group: _Group) -> None:
        for call, noted in group.notes:
            call.error_code, call.error_detail = noted
        session.flush()
        again = [one for one in group.instances if one.came in _TO_READ_AGAIN]
        for item in (item for one in again for item in one.items if item.outcome is not None):
            outcomes[run_id, str(item.outcome)] -= 1
            if item.lane is not None:
                lanes[run_id, item.lane, item.outcome == Outcome.PASSED] -= 1
        _reopen(session, again)
        take_from_people(session, [one.instance_id for one in again])

    found = _walk(session, run_id, rereaders, after, change)
    add_counts(session, outcomes)
    count_lanes(session, lanes)
    if found.again:
        reopen_run(session, run_id, may_ask=False)
    words = ", ".join(f"{rows} {came.replace('_', ' ')}" for came, rows in found.counts.items() if rows)
    note(session, run_id, "read again", words, person_id)
    return found


# --- walking ----------------------------------------------------------------------------------------------


class _Instance(NamedTuple):
    """One instance, what becomes of it, and the items that would be done again: the first one from its reply."""

    instance_id: int
    came: Came
    detail: str
    items: list[WorkItem]


class _Group(NamedTuple):
    instances: list[_Instance]
    notes: list[tuple[Call, tuple[str | None, str | None]]]


def _walk(
    session: Session,
    run_id: int,
    rereaders: Rereaders,
    after: int,
    change: Callable[[_Group], None] | None,
) -> Found:
    _refuse_a_going_run(session, run_id)
    counts: Counter[Came] = Counter()
    examples: dict[Came, list[Example]] = defaultdict(list)
    for _ in range(MOST_AT_ONCE // _GROUP):
        ids = _next_ids(session, run_id, after)
        if change is not None:
            _hold(session, run_id, ids)
        left_alone = _left_alone(session, run_id, ids)
        rest = [one for one in ids if one not in left_alone]
        group = _read(session, run_id, rest, rereaders, to_change=change is not None)
        counts.update(left_alone.values())
        counts.update(one.came for one in group.instances)
        counts[Came.WITHOUT_REPLY] += len(rest) - len(group.instances)
        for one in group.instances:
            if one.came in _TO_READ_AGAIN and len(examples[one.came]) < _SHOWN:
                examples[one.came].append(Example(one.instance_id, one.items[0].stage, one.came, one.detail))
        if change is not None:
            change(group)
        _forget(session)
        is_last = len(ids) < _GROUP
        if is_last:
            break
        after = ids[-1]
    else:
        is_last = False
    shown = [one for came in _TO_READ_AGAIN for one in examples[came]]
    return Found({came: counts[came] for came in Came}, shown, None if is_last else after)


def _refuse_a_going_run(session: Session, run_id: int) -> None:
    state, progress = session.execute(select(Run.state, Run.progress).where(Run.id == run_id)).one()
    is_only_reading = state in UNFINISHED_RUNS and progress.get(ASKS_NOTHING)
    if state not in _READABLE and not is_only_reading:
        raise Conflict(f"run {run_id} is {state}: the replies of an ended or paused run can be read again")


def _next_ids(session: Session, run_id: int, after: int) -> Sequence[int]:
    generating = (
        select(WorkItem.source_id)
        .where(WorkItem.run_id == run_id, WorkItem.stage == Stage.GENERATE, WorkItem.source_id > after)
        .order_by(WorkItem.source_id)
        .limit(_GROUP)
    )
    return session.scalars(generating).all()


def _hold(session: Session, run_id: int, ids: Sequence[int]) -> None:
    """Until it is changed nobody works on a group or decides on it, and what was decided is seen."""
    items = select(WorkItem.id).where(WorkItem.run_id == run_id, WorkItem.source_id.in_(ids))
    session.execute(items.order_by(WorkItem.id).with_for_update(key_share=True))
    await_readers(session, ids)


def _left_alone(session: Session, run_id: int, ids: Sequence[int]) -> dict[int, Came]:
    """Those that are not to be touched, with why."""
    untouchable = Instance.status.not_in(
        (InstanceStatus.GENERATING, InstanceStatus.UNUSABLE, InstanceStatus.WAITING)
    )
    decided = select(Instance.id).where(
        Instance.id.in_(ids),
        untouchable
        | exists().where(Decision.instance_id == Instance.id)
        | exists().where(LotRow.instance_id == Instance.id),
    )
    leased = select(Lease.instance_id).where(Lease.instance_id.in_(ids), Lease.expires_at > func.now())
    worked_on = select(WorkItem.source_id).where(
        WorkItem.run_id == run_id, WorkItem.source_id.in_(ids), WorkItem.state.in_(OPEN_ITEMS)
    )
    in_hand = {*session.scalars(leased), *session.scalars(worked_on)}
    sent_back = session.scalars(select(SentBack.instance_id).where(SentBack.instance_id.in_(ids)))
    return (
        dict.fromkeys(sent_back, Came.SENT_BACK)
        | dict.fromkeys(in_hand, Came.IN_HAND)
        | dict.fromkeys(session.scalars(decided), Came.DECIDED)
    )


def _read(
    session: Session, run_id: int, ids: Collection[int], rereaders: Rereaders, *, to_change: bool
) -> _Group:
    """What each instance comes to; those without any reply are left out. A new text takes its verdict with it."""
    of_run = (
        select(WorkItem)
        .where(WorkItem.run_id == run_id, WorkItem.source_id.in_(ids), WorkItem.stage.in_(_STAGES))
        .order_by(WorkItem.id)
    )
    items: dict[Stage, dict[int, WorkItem]] = {stage: {} for stage in _STAGES}
    for item in session.scalars(of_run.with_for_update(key_share=True) if to_change else of_run):
        items[Stage(item.stage)][item.source_id] = item
    replies = last_replies(session, [item for of_stage in items.values() for item in of_stage.values()])
    texts = _reread(session, rereaders[Stage.GENERATE], items[Stage.GENERATE], replies)
    kept = {
        one: item
        for one, item in items[Stage.DISCRIMINATE].items()
        if one not in texts or texts[one].came not in _TO_READ_AGAIN
    }
    verdicts = _reread(session, rereaders[Stage.DISCRIMINATE], kept, replies)
    group = _Group([], [])
    for one in ids:
        read = [
            (stage, found[one])
            for stage, found in zip(_STAGES, (texts, verdicts), strict=True)
            if one in found
        ]
        group.notes.extend(
            (replies[items[stage][one].id], reread.noted)
            for stage, reread in read
            if reread.came is Came.MARKED
        )
        if read:
            stage, reread = min(read, key=lambda one: _MATTERS.index(one[1].came))
            from_here = [
                items[later][one] for later in _STAGES[_STAGES.index(stage) :] if one in items[later]
            ]
            group.instances.append(_Instance(one, reread.came, reread.detail, from_here))
    return group


def _reread(
    session: Session, rereader: Rereader, items: Mapping[int, WorkItem], replies: Mapping[int, Call]
) -> dict[int, Reread]:
    """By instance, for those that have a reply."""
    calls = {one: replies[item.id] for one, item in items.items() if item.id in replies}
    return dict(zip(calls, rereader(session, list(calls.values())), strict=True))


def _reopen(session: Session, again: Sequence[_Instance]) -> None:
    """The first item of each becomes pending, from its reply; a verdict on another text has no outcome any more."""
    anew = {"outcome": None, "attempts": 0, "bad_replies": 0, "error_code": None, "error_detail": None}
    for items, values in (
        (
            [one.items[0] for one in again],
            {"state": ItemState.PENDING, "reparse": True, "next_attempt_at": func.now(), "finished_at": None},
        ),
        ([item for one in again for item in one.items[1:]], {"state": ItemState.SKIPPED}),
    ):
        session.execute(
            update(WorkItem)
            .where(WorkItem.id.in_([item.id for item in items]))
            .values(anew | values)
            .execution_options(synchronize_session=False)
        )


def _forget(session: Session) -> None:
    """What was read of a group: the rows of a large run must not all be held."""
    session.flush()
    for row in list(session):
        if isinstance(row, Instance | WorkItem | Call | VerdictRow):
            session.expunge(row)
