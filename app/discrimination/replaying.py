"""Asking another judge about instances that people have decided. Touches the tables through its session.

What is judged is the text that the first judge saw, with the same cases beside it: only the model differs, and the
rules and the prompt as far as others are in force now, or asked for. Neither the instance nor its verdict is touched.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.discrimination import prompts, service
from app.discrimination.basis import Bases, shipped
from app.discrimination.prompts import Judged
from app.discrimination.queries import TEXTS
from app.discrimination.rulebook import sets_of
from app.engine.handlers import Ending
from app.engine.items import add_items
from app.engine.money import checked_budget, rate_of
from app.engine.runs import open_run
from app.errors import Conflict, DomainError, InvalidInput, Unparsable
from app.pipeline import OFFLINE, OUTCOME_OF_VERDICT, RunKind, Stage, Task, Verdict
from app.prompting.exemplars import Drawn
from app.prompting.prompt import Answered, Prompt
from app.prompting.template import Template
from app.settings import settings
from app.storage.bank import Bank
from app.storage.frozen import freeze, freeze_in_force
from app.storage.replayed import replayable
from app.storage.tables import (
    Call,
    Instance,
    Person,
    Project,
    ReplayVerdict,
    Revision,
    Run,
    VerdictRow,
    WorkItem,
)
from app.storage.versions import chosen

MOST = 10_000
USUAL = 2_000

_BYTES_A_TOKEN = 3.5
_RULES_TOKENS = 1_600  # the judge's system prompt, a good and a bad case
_VERDICT_TOKENS = 450  # about a sentence of reason for each rule


class Wanted(NamedTuple):
    """Which judge is tried on the newest `most` decided instances.

    It judges by the rules and prompts in force, or by a version of the `rules`, or of the `prompts` of some tasks:
    a number or `shipped`. Where only prompts are tried, only instances of their tasks are judged.
    """

    discriminator: str
    most: int = USUAL
    budget_usd: float | None = None
    rules: str | None = None
    prompts: Mapping[Task, str] = MappingProxyType({})

    @property
    def tasks(self) -> Sequence[Task]:
        return list(Task) if self.rules or not self.prompts else list(self.prompts)


class Estimate(NamedTuple):
    """`cost_micro` is None where the price of the model is unknown."""

    instances: int
    cost_micro: int | None


def estimate(session: Session, project: Project, wanted: Wanted) -> Estimate:
    """What the replay would probably cost if nothing of it had been asked before. Raises as `start_replay` does."""
    _check(wanted)
    _tried(session, project, wanted)
    found = _decided_instances(session, project.id, wanted)
    rate = rate_of(session, wanted.discriminator)
    if rate is None:
        return Estimate(len(found), None)
    texts = func.concat(Instance.instruction, Instance.information, Instance.solution)
    size = session.scalar(
        select(func.sum(func.octet_length(texts))).where(
            Instance.id.in_([one["instance_id"] for one in found])
        )
    )
    tokens_in = round(int(size or 0) / _BYTES_A_TOKEN) + _RULES_TOKENS * len(found)
    return Estimate(len(found), rate.cost(tokens_in, _VERDICT_TOKENS * len(found)))


def start_replay(
    session: Session,
    project: Project,
    wanted: Wanted,
    person: Person | None,
) -> Run:
    """Open a run that asks the judge. What was asked before, and answered, costs nothing again.

    Raises InvalidInput naming the field, NotFound for a version that is none, and Conflict where nothing is decided
    that could be replayed.
    """
    budget_micro = _check(wanted)
    if budget_micro is not None and rate_of(session, wanted.discriminator) is None:
        raise InvalidInput(
            f'the price of "{wanted.discriminator}" is unknown: set it, or start without a budget',
            "budget_usd",
        )
    tried = _tried(session, project, wanted)
    found = _decided_instances(session, project.id, wanted)
    if not found:
        raise Conflict(
            "nothing to replay: no instance with a verdict is decided by people that never served as an example"
        )
    person_id = person.id if person else None
    params = {"discriminator": wanted.discriminator, "count": len(found)} | _named(wanted)
    run = open_run(
        session, project.id, person_id, RunKind.REPLAY, params, total=len(found), budget_micro=budget_micro
    )
    freeze(session, run.id, tried)
    freeze_in_force(session, run, shipped())
    session.execute(insert(ReplayVerdict), [one | {"run_id": run.id} for one in found])
    add_items(session, run, Stage.REPLAY, [one["instance_id"] for one in found])
    log(session, person_id, "replay started", f"run {run.id}", params, project_id=project.id)
    return run


def _tried(session: Session, project: Project, wanted: Wanted) -> list[Template]:
    """The rule sets and prompts that are tried instead of those in force. Raises NotFound."""
    found: list[Template] = []
    if wanted.rules:
        rules = service.shown(session, project, wanted.rules)
        found += sets_of(rules.book, rules.key)
    for task, key in wanted.prompts.items():
        found.append(chosen(session, project.id, prompts.template(task), key).template)
    return found


def _named(wanted: Wanted) -> dict[str, Any]:
    """What is tried, as a run's page says it."""
    tried = {"rules": wanted.rules, "prompts": dict(wanted.prompts)}
    return {name: value for name, value in tried.items() if value}


def _check(wanted: Wanted) -> int | None:
    if not wanted.discriminator.strip():
        raise InvalidInput("name the model that judges", "discriminator")
    if wanted.discriminator != OFFLINE and not settings().has_model:
        raise InvalidInput(
            f'no provider is configured for the model "{wanted.discriminator}": set OPENAI_API_KEY, or use {OFFLINE}',
            "discriminator",
        )
    if not 1 <= wanted.most <= MOST:
        raise InvalidInput(f"count must be from 1 to {MOST:,}", "count")
    return checked_budget(wanted.budget_usd)


def _decided_instances(session: Session, project_id: int, wanted: Wanted) -> list[dict[str, Any]]:
    query = replayable(project_id, Instance.task.in_(wanted.tasks)).limit(wanted.most)
    return [dict(row) for row in session.execute(query).mappings()]


class _Question(NamedTuple):
    """The text that a verdict was about, and the cases that its judge saw beside it."""

    judge: str
    judged: Judged
    revision: int
    drawn: Drawn


def _questions(session: Session, items: Sequence[WorkItem]) -> dict[int, _Question]:
    """By item."""
    query = (
        select(
            WorkItem.id,
            Run.params["discriminator"].as_string(),
            VerdictRow.revision,
            Call.good_exemplar_id,
            Call.bad_exemplar_id,
            Instance.task,
            Instance.language,
            Instance.target_language,
            *(func.coalesce(getattr(Revision, name), getattr(Instance, name)) for name in TEXTS),
        )
        .join(Run, Run.id == WorkItem.run_id)
        .join(
            ReplayVerdict,
            (ReplayVerdict.run_id == WorkItem.run_id) & (ReplayVerdict.instance_id == WorkItem.source_id),
        )
        .join(VerdictRow, VerdictRow.id == ReplayVerdict.verdict_id)
        .join(Call, Call.id == VerdictRow.call_id)
        .join(Instance, Instance.id == ReplayVerdict.instance_id)
        # A text that nobody has changed may stand in its instance alone.
        .outerjoin(Revision, (Revision.instance_id == Instance.id) & (Revision.number == VerdictRow.revision))
        .where(WorkItem.id.in_([item.id for item in items]))
    )
    found: dict[int, _Question] = {}
    for item_id, judge, revision, good, bad, task, language, target, *text in session.execute(query):
        instruction, information, solution = map(str, text)
        judged = Judged(Task(task), language, target, instruction, information, solution)
        found[item_id] = _Question(judge, judged, revision, Drawn(good, bad))
    return found


class ReplayHandler:
    """Asks for verdicts on `item.source_id` and keeps them beside those that people saw."""

    def __init__(self) -> None:
        self._bank = Bank()
        self._bases = Bases()

    def prepare(self, session: Session, items: Sequence[WorkItem]) -> Sequence[Prompt | Answered]:
        found = _questions(session, items)
        cases = self._bank.cases(session, [one.drawn for one in found.values()])
        answers: list[Prompt | Answered] = []
        for item in items:
            judge, judged, _, drawn = found[item.id]
            basis = self._bases.of(session, item.run_id, judged.task)
            shown = basis.shown(drawn)
            silent = judge == OFFLINE
            answers.append(
                basis.silence(judged) if silent else basis.question(judged, shown, shown.of(cases))
            )
        return answers

    def record(
        self, session: Session, answered: Sequence[tuple[WorkItem, Call]]
    ) -> Sequence[Ending | DomainError]:
        found = _questions(session, [item for item, _ in answered])
        endings: list[Ending | DomainError] = []
        for item, call in answered:
            _, judged, revision, _ = found[item.id]
            basis = self._bases.of(session, item.run_id, judged.task)
            try:
                verdict = basis.verdict(session, call, judged, revision)
            except Unparsable as error:
                endings.append(error)
                continue
            endings.append(_keep(session, item, call, verdict))
        return endings

    def give_up(self, session: Session, item: WorkItem, call: Call, error: Unparsable) -> Ending:
        return _keep(session, item, call, Verdict.INVALID)


def _keep(session: Session, item: WorkItem, call: Call, verdict: Verdict) -> Ending:
    session.execute(
        update(ReplayVerdict)
        .where(ReplayVerdict.run_id == item.run_id, ReplayVerdict.instance_id == item.source_id)
        .values(call_id=call.id, overall=verdict)
    )
    return Ending(outcome=OUTCOME_OF_VERDICT[verdict])
