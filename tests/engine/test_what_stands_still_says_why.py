"""Where nothing moves, the cause is named with a number and since when: to machines by `/readyz`, to people by the run."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, func, text, update
from sqlalchemy.orm import Session, sessionmaker

from app.engine import blockers
from app.engine.closing import close, put_back
from app.engine.items import claim
from app.engine.runs import open_run, pause_run
from app.engine.stalls import Standstill, standstill
from app.engine.sweep import SWEEP_LOCK, say_alive, sweep
from app.main import create_app
from app.pipeline import RunKind, Stage
from app.runs.standing import standing_of
from app.storage.tables import Run, RunEvent, WorkItem
from tests.factories import make_project

LONG_AGO = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _workers_are_there(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        for queue in ("llm", "cpu"):
            say_alive(session, f"{queue}@test", queue)


@pytest.fixture
def hanging(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Connection]:
    """A session that says something in a transaction and then nothing more, for as long as is too long."""
    monkeypatch.setattr(blockers, "HOLDS_FOR", timedelta(0))

    def hang(statement: str) -> Connection:
        connection = engine.connect()
        connection.execute(text("SET LOCAL application_name = 'frozen worker'"))
        connection.execute(text(statement))
        return connection

    return hang


def long_ago(session: Session) -> None:
    """All that has happened was five minutes before."""
    session.flush()
    session.execute(update(Run).values(created_at=func.now() - LONG_AGO, started_at=func.now() - LONG_AGO))
    session.execute(update(RunEvent).values(at=func.now() - LONG_AGO))
    session.execute(update(WorkItem).values(next_attempt_at=WorkItem.next_attempt_at - LONG_AGO))


def look(sessions: sessionmaker[Session], run_id: int) -> tuple[str, Standstill]:
    with sessions() as session:
        return standing_of(session, session.get_one(Run, run_id)) or "", standstill(session)


def test_rows_that_a_hanging_session_keeps_are_told_with_its_number(
    sessions: sessionmaker[Session], start_run: Callable[..., int], hanging: Callable[[str], Connection]
) -> None:
    run_id = start_run(9)
    with sessions.begin() as session:
        long_ago(session)

    with hanging("SELECT id, 'a secret' FROM work_item FOR UPDATE") as holder:
        pid = holder.scalar(text("SELECT pg_backend_pid()"))
        says, found = look(sessions, run_id)
        ready = TestClient(create_app()).get("/readyz")

    assert says.startswith("Nothing has moved for 5 min: 9 items wait for a worker since ")
    assert f"database session {pid} (frozen worker) has been idle in a transaction since" in says
    assert f"pg_terminate_backend({pid})" in says
    assert "secret" not in says + ready.text
    assert found.is_total
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert f"session {pid} (frozen worker)" in ready.json()["checks"]["standing"]
    assert f"run {run_id}: nothing has moved since" in ready.json()["checks"]["standing"]


def test_a_sweeper_that_is_held_up_is_told_with_what_silent_workers_hold(
    sessions: sessionmaker[Session], start_run: Callable[..., int], hanging: Callable[[str], Connection]
) -> None:
    run_id = start_run(4)
    with sessions.begin() as session:
        claim(session, [Stage.GENERATE], 3, "gone")
        sweep(session)
        long_ago(session)
        session.execute(
            update(WorkItem)
            .where(WorkItem.lease_owner.is_not(None))
            .values(lease_expires_at=func.now() - LONG_AGO)
        )
        session.execute(text("UPDATE worker SET seen_at = now() - interval '4 min' WHERE name = 'sweeper'"))

    with hanging(f"SELECT pg_advisory_xact_lock({SWEEP_LOCK})"):
        held, found = look(sessions, run_id)
    released, _ = look(sessions, run_id)

    assert "3 items are held by a worker that is silent since" in held
    assert "it holds the sweeper's lock" in held
    assert "has not run since" in " ".join(found.sentences)
    assert "sweeper, which frees what silent workers hold, has not run since" in released


@pytest.mark.parametrize(
    ("alive", "says"),
    [(True, "the one that is there takes none"), (False, "no worker serves “llm”: the last was heard since")],
)
def test_due_work_that_nobody_takes_is_told(
    sessions: sessionmaker[Session], start_run: Callable[..., int], alive: bool, says: str
) -> None:
    run_id = start_run(2)
    with sessions.begin() as session:
        long_ago(session)
        if not alive:
            session.execute(text("UPDATE worker SET seen_at = now() - interval '3 min'"))

    said, found = look(sessions, run_id)

    assert says in said
    assert not found.is_total  # `workers` says it, where there are none


def test_a_run_that_waits_for_another_try_names_the_error_and_the_time(
    sessions: sessionmaker[Session], start_run: Callable[..., int]
) -> None:
    run_id = start_run(2)
    with sessions.begin() as session:
        items = claim(session, [Stage.GENERATE], 2, "test")
        close(session, [put_back(one, seconds=900, why=("http_503", "overloaded")) for one in items])
        long_ago(session)

    said, found = look(sessions, run_id)

    assert "2 items wait for another try, the first in" in said
    assert "after http_503: overloaded" in said
    assert found.sentences
    assert not found.is_total


def test_a_call_beyond_its_deadline_and_a_step_that_takes_long_are_told(
    sessions: sessionmaker[Session], start_run: Callable[..., int]
) -> None:
    asking = start_run(1)
    with sessions.begin() as session:
        [item] = claim(session, [Stage.GENERATE], 1, "test")
        session.execute(
            text(
                "INSERT INTO call (run_id, item_id, stage, source_id, attempt, model, state, request_hash,"
                " template_hash, sent_at, prompt_tokens, completion_tokens, reserved_micro, cost_micro)"
                " VALUES (:run, :item, 'generate', 1, 1, 'test', 'sent', '', '', now() - interval '5 min', 0, 0, 0, 0)"
            ),
            {"run": item.run_id, "item": item.id},
        )
        job = open_run(session, make_project(session).id, None, RunKind.SELECT, {}).id
        claim(session, [Stage.SELECT], 1, "test")
        waiting = open_run(session, make_project(session).id, None, RunKind.SELECT, {}).id
        long_ago(session)

    assert "1 call to the provider past the deadline of 120 s, the oldest since" in look(sessions, asking)[0]
    assert "its step has taken 5 min so far" in look(sessions, job)[0]
    assert f"1 item waits for a turn: the workers are busy with run {job}" in look(sessions, waiting)[0]


def test_what_moves_or_is_paused_says_nothing(
    sessions: sessionmaker[Session], start_run: Callable[..., int]
) -> None:
    moving, paused = start_run(1), start_run(1)
    with sessions.begin() as session:
        long_ago(session)
        pause_run(session, paused, "by hand")
        session.execute(update(Run).where(Run.id == moving).values(stepped_at=func.now()))

    assert look(sessions, moving)[0] == look(sessions, paused)[0] == ""
    assert look(sessions, moving)[1].sentences == []


def test_a_session_for_which_others_wait_is_told_without_any_run(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, hanging: Callable[[str], Connection]
) -> None:
    monkeypatch.setattr(blockers, "WAITED_FOR", timedelta(0))
    with sessions.begin() as session:
        make_project(session)

    def wait() -> None:
        with sessions.begin() as session:
            session.execute(text("UPDATE project SET name = 'other'"))

    with hanging("UPDATE project SET name = 'held'") as holder:
        waiting = Thread(target=wait)
        waiting.start()
        try:
            for _ in range(200):
                with sessions() as session:
                    said = standstill(session).sentences
                if said:
                    break
        finally:
            holder.rollback()
            waiting.join()

    assert "1 other session waits for it" in said[0]
