"""Prometheus reads runs, calls, costs and workers; a database that is away is told, not an error."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.storage.tables import CallTally
from app.web import metrics
from tests.factories import make_run
from tests.web.clients import application_on


def lines(client: TestClient) -> dict[str, float]:
    text = client.get("/metrics").text
    found = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in found}


@pytest.fixture
def scraped(session: Session, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, float]]:
    maker = sessionmaker(session.connection(), join_transaction_mode="create_savepoint")
    monkeypatch.setattr(metrics, "session_factory", lambda: maker)
    client = TestClient(application_on(session))
    return lambda: lines(client)


def test_runs_and_calls_are_counted(session: Session, scraped: Callable[[], dict[str, float]]) -> None:
    run = make_run(session, total=7, reserved_micro=2_000_000)
    tally = {"calls": 3, "prompt_tokens": 40, "completion_tokens": 5, "cost_micro": 1_500_000}
    session.add(CallTally(run_id=run.id, stage="generate", model="a-model", state="done", **tally))
    session.flush()

    found = scraped()

    labels = 'model="a-model",stage="generate",state="done"'
    assert found["breakwater_up"] == 1
    assert found[f"breakwater_calls_total{{{labels}}}"] == 3
    assert found[f"breakwater_cost_usd_total{{{labels}}}"] == 1.5
    assert found[f'breakwater_tokens_total{{direction="in",{labels}}}'] == 40
    assert found[f'breakwater_run_reserved_usd{{run="{run.id}"}}'] == 2
    assert found[f'breakwater_run_total{{kind="generate",run="{run.id}"}}'] == 7


def test_a_database_that_is_away_is_a_metric(
    scraped: Callable[[], dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> sessionmaker[Session]:
        raise OperationalError("", {}, Exception("gone"))

    monkeypatch.setattr(metrics, "session_factory", away)

    assert scraped()["breakwater_up"] == 0
