"""Every item ends once with its raw reply kept, whatever a provider does: real HTTP, our own client."""

import json
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.engine.drain import Drain
from app.engine.handlers import Ending
from app.engine.runs import Progress, progress_of, resume_run
from app.errors import DomainError, Unparsable
from app.llm.openai_client import OpenAIClient
from app.pipeline import Outcome, RunState
from app.prompting.prompt import Prompt
from app.settings import Settings
from app.storage.tables import Call, Run, WorkItem
from tests.engine.conftest import Echo
from tests.llm_server import ERRORS, UNUSABLE, Behaviour, serving

ITEMS = 24
RAW = {  # what the ledger must keep of a reply that nobody can use
    "empty": "",
    "prose": "I would rather talk about the weather.",
    "refusal": "I cannot help with that.",
    "cut off": '{"answer": "It holds, e.g. ',
    "missing key": "{}",
}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}

Work = Callable[[int], tuple[Run, Progress]]
Sessions = sessionmaker[Session]


class Reads(Echo):
    """Wants an answer in JSON."""

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt]:
        return [one._replace(schema_name="answer", schema=SCHEMA) for one in super().prepare(session, items)]

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        return [self._read(call) for _, call in answered]

    def _read(self, call: Call) -> Ending | DomainError:
        try:
            has_answer = call.finish_reason == "stop" and "answer" in json.loads(call.reply or "")
        except ValueError:
            has_answer = False
        return Ending(outcome=Outcome.PASSED) if has_answer else Unparsable("no answer")


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def work(sessions: Sessions, make_drain: Callable[..., Drain], behaviour: Behaviour) -> Iterator[Work]:
    """Work on a run for as long as it goes."""
    with serving(behaviour) as url:
        client = OpenAIClient(
            Settings(openai_base_url=url, openai_api_key=SecretStr("right"), llm_timeout_s=1.0)
        )
        drain = make_drain(client, handler=Reads())

        def until_it_stops(run_id: int) -> tuple[Run, Progress]:
            deadline = time.monotonic() + 60
            while True:
                drain.work(10)
                with sessions() as session:
                    run = session.get_one(Run, run_id)
                    if run.state not in (RunState.QUEUED, RunState.RUNNING) or time.monotonic() > deadline:
                        return run, progress_of(session, run)

        yield until_it_stops
        drain.close()


@pytest.mark.parametrize("kind", [*ERRORS, "reset before", "slow"])
def test_faults_that_pass_cost_time_and_no_item(
    start_run: Callable[..., int], behaviour: Behaviour, work: Work, kind: str
) -> None:
    behaviour.behave(errors=1 / 3, error_kinds=[kind])

    run, progress = work(start_run(ITEMS))

    assert behaviour.sent[kind] > 0
    assert (run.state, progress.done, progress.pending) == (RunState.COMPLETED, {"passed": ITEMS}, 0)


@pytest.mark.parametrize("retry_after_s", [None, 0.3])
def test_a_storm_of_too_many_requests_is_ridden_out_and_charges_no_attempt(
    sessions: Sessions,
    start_run: Callable[..., int],
    behaviour: Behaviour,
    work: Work,
    retry_after_s: float | None,
) -> None:
    behaviour.storm(1.0, retry_after_s)

    _, progress = work(start_run(ITEMS))

    assert behaviour.sent["429"] > 0
    assert progress.done == {"passed": ITEMS}
    with sessions() as session:
        assert session.scalars(select(func.max(WorkItem.attempts))).one() == 1


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_reply_that_is_never_usable_is_an_outcome_with_its_raw_text(
    sessions: Sessions, start_run: Callable[..., int], behaviour: Behaviour, work: Work, kind: str
) -> None:
    behaviour.behave(unusable=1.0, unusable_kinds=[kind])

    _, progress = work(start_run(4))

    assert progress.done == {"unusable": 4}
    with sessions() as session:
        calls = session.scalars(select(Call)).all()
    assert len(calls) == behaviour.calls == 3 * 4
    assert {(call.state, call.refusal or call.reply) for call in calls} == {("done", RAW[kind])}


@pytest.mark.parametrize(
    ("kind", "code"),
    [("401", "invalid_api_key"), ("404", "model_not_found"), ("insufficient_quota", "insufficient_quota")],
)
def test_what_no_call_can_succeed_after_pauses_the_run_in_the_middle(
    sessions: Sessions,
    start_run: Callable[..., int],
    behaviour: Behaviour,
    work: Work,
    kind: str,
    code: str,
) -> None:
    behaviour.behave(refuse_with=kind, refuse_from=5)
    run_id = start_run(ITEMS)

    paused, half_way = work(run_id)
    behaviour.behave(refuse_with="")
    with sessions.begin() as session:
        resume_run(session, run_id)
    ended, progress = work(run_id)

    assert paused.state == RunState.PAUSED
    assert code in (paused.reason or "")
    assert 0 < half_way.pending < half_way.total == ITEMS
    assert (ended.state, progress.done) == (RunState.COMPLETED, {"passed": ITEMS})
