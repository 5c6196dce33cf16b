"""What Prometheus reads: counts that are kept anyway, so that a scrape costs the same in a run of any size."""

from collections.abc import Iterator

import structlog
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.engine.sweep import queues_alive
from app.llm.limiter import gates
from app.pipeline import OFFLINE, UNFINISHED_RUNS
from app.queue import QUEUES
from app.storage.database import session_factory
from app.storage.tables import Call, CallTally, Run, RunCount

_log = structlog.get_logger()


class _Collector:
    """Asks the database and the gates at each scrape. A database that is away is `breakwater_up` 0, no error."""

    def collect(self) -> Iterator[Metric]:
        try:
            with session_factory()() as session:
                found = [*_runs(session), *_calls(session), *_gates(session), *_workers(session)]
        except SQLAlchemyError as error:
            _log.warning("no_metrics", error=str(error))
            yield GaugeMetricFamily("breakwater_up", "Whether the database answers", 0)
            return
        yield GaugeMetricFamily("breakwater_up", "Whether the database answers", 1)
        yield from found


def _runs(session: Session) -> Iterator[Metric]:
    runs = GaugeMetricFamily("breakwater_runs", "Runs by kind and state", labels=["kind", "state"])
    for kind, state, number in session.execute(
        select(Run.kind, Run.state, func.count()).group_by(Run.kind, Run.state)
    ):
        runs.add_metric([kind, state], number)
    yield runs
    rows = GaugeMetricFamily(
        "breakwater_run_rows", "Rows of unfinished runs by how they ended", labels=["run", "kind", "outcome"]
    )
    totals = GaugeMetricFamily("breakwater_run_total", "Rows of unfinished runs", labels=["run", "kind"])
    money = GaugeMetricFamily(
        "breakwater_run_reserved_usd", "Promised to calls of unfinished runs", labels=["run"]
    )
    for run in session.scalars(select(Run).where(Run.state.in_(UNFINISHED_RUNS))):
        totals.add_metric([str(run.id), run.kind], run.total)
        money.add_metric([str(run.id)], run.reserved_micro / 1e6)
        for count in session.scalars(select(RunCount).where(RunCount.run_id == run.id)):
            rows.add_metric([str(run.id), run.kind, count.code], count.rows)
    yield from (totals, rows, money)


def _calls(session: Session) -> Iterator[Metric]:
    names = ["stage", "model", "state"]
    calls = CounterMetricFamily("breakwater_calls", "Closed questions to models", labels=names)
    cost = CounterMetricFamily("breakwater_cost_usd", "Paid for calls", labels=names)
    tokens = CounterMetricFamily("breakwater_tokens", "Tokens of calls", labels=[*names, "direction"])
    tallies = select(
        CallTally.stage,
        CallTally.model,
        CallTally.state,
        func.sum(CallTally.calls),
        func.sum(CallTally.cost_micro),
        func.sum(CallTally.prompt_tokens),
        func.sum(CallTally.completion_tokens),
    ).group_by(CallTally.stage, CallTally.model, CallTally.state)
    for stage, model, state, number, micro, tokens_in, tokens_out in session.execute(tallies):
        calls.add_metric([stage, model, state], int(number))
        cost.add_metric([stage, model, state], float(micro) / 1e6)
        tokens.add_metric([stage, model, state, "in"], int(tokens_in))
        tokens.add_metric([stage, model, state, "out"], int(tokens_out))
    yield from (calls, cost, tokens)
    in_flight = session.scalars(select(func.count()).where(Call.state == "sent")).one()
    yield GaugeMetricFamily("breakwater_calls_in_flight", "Questions without an answer yet", in_flight)


def _gates(session: Session) -> Iterator[Metric]:
    in_flight = GaugeMetricFamily("breakwater_gate_in_flight", "As the limiter counts", labels=["model"])
    ceiling = GaugeMetricFamily(
        "breakwater_gate_ceiling", "Most in flight for now, where there is one", labels=["model"]
    )
    throttled = GaugeMetricFamily(
        "breakwater_gate_throttled_share", "Of the last calls, answered 429", labels=["model"]
    )
    failing = GaugeMetricFamily(
        "breakwater_gate_without_success_seconds", "Since the first failure in a row", labels=["model"]
    )
    models = session.scalars(select(CallTally.model).distinct().where(CallTally.model != OFFLINE)).all()
    for model, gate in gates(models).items():
        in_flight.add_metric([model], gate.in_flight)
        throttled.add_metric([model], gate.throttled_share)
        failing.add_metric([model], gate.without_success_s)
        if gate.ceiling is not None:
            ceiling.add_metric([model], gate.ceiling)
    yield from (in_flight, ceiling, throttled, failing)


def _workers(session: Session) -> Iterator[Metric]:
    alive = queues_alive(session)
    workers = GaugeMetricFamily(
        "breakwater_queue_served", "Whether a worker was seen within a minute", labels=["queue"]
    )
    for queue in sorted(QUEUES.values()):
        workers.add_metric([queue], int(queue in alive))
    yield workers


_registry = CollectorRegistry()
_registry.register(_Collector())  # pyright: ignore[reportArgumentType] - it has what is asked of one


def latest() -> bytes:
    """The product's metrics in Prometheus' text form."""
    return generate_latest(_registry)
