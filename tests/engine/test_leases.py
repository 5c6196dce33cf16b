"""A lease belongs to one holder; a late one changes nothing."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.engine.closing import close, finish
from app.engine.handlers import Ending
from app.engine.items import claim, release_expired, renew
from app.engine.sweep import sweep
from app.pipeline import ItemState, Outcome, Stage
from app.storage.tables import Call, Run, WorkItem
from tests.engine.conftest import expire

Sessions = sessionmaker[Session]


def test_two_claimers_at_once_never_get_the_same_item(
    sessions: Sessions, start_run: Callable[..., int]
) -> None:
    start_run(10)

    with sessions.begin() as first, sessions.begin() as second:
        ours = {item.id for item in claim(first, [Stage.GENERATE], 6, "first")}
        theirs = {item.id for item in claim(second, [Stage.GENERATE], 6, "second")}

    assert (len(ours), len(theirs)) == (6, 4)
    assert not ours & theirs


def test_an_expired_item_goes_to_another_and_the_first_holder_can_no_longer_finish_it(
    sessions: Sessions, start_run: Callable[..., int]
) -> None:
    start_run(1)
    with sessions.begin() as session:
        [stale] = claim(session, [Stage.GENERATE], 1, "first")
        expire(session)
    with sessions.begin() as session:
        release_expired(session)
        [held] = claim(session, [Stage.GENERATE], 1, "second")

    with sessions.begin() as session:
        late = close(session, [finish(stale, Ending(outcome=Outcome.PASSED))])
        ours = close(session, [finish(held, Ending(outcome=Outcome.PASSED))])

    assert (late, ours) == (set(), {held.id})
    with sessions() as session:
        assert session.scalars(select(WorkItem.state)).all() == [ItemState.SUCCEEDED]


def test_only_the_holder_of_the_newest_epoch_can_renew(
    sessions: Sessions, start_run: Callable[..., int]
) -> None:
    start_run(1)
    with sessions.begin() as session:
        [stale] = claim(session, [Stage.GENERATE], 1, "first")
        expire(session)
    with sessions.begin() as session:
        release_expired(session)
        [held] = claim(session, [Stage.GENERATE], 1, "second")

    with sessions.begin() as session:
        assert renew(session, [stale]) == set()
        assert renew(session, [held]) == {held.id}


def test_the_sweeper_returns_silent_items_and_names_their_calls_unknown(
    sessions: Sessions, start_run: Callable[..., int]
) -> None:
    run_id = start_run(1)
    with sessions.begin() as session:
        [item] = claim(session, [Stage.GENERATE], 1, "gone")
        session.add(
            Call(
                run_id=run_id,
                item_id=item.id,
                stage=item.stage,
                source_id=1,
                attempt=1,
                model="test",
                state="sent",
                request_hash="",
                template_hash="",
                reserved_micro=7,
            )
        )
        session.get_one(Run, run_id).reserved_micro = 7
        expire(session)

    with sessions.begin() as session:
        sweep(session)

    with sessions() as session:
        assert session.scalars(select(WorkItem.state)).one() == ItemState.PENDING
        assert session.scalars(select(Call.state)).one() == "unknown"
        assert session.get_one(Run, run_id).reserved_micro == 7
