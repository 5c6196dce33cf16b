"""Starting a generation run, and what it will cost."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.engine.items import add_items
from app.engine.money import rate_of
from app.engine.runs import open_run
from app.errors import Conflict, InvalidInput
from app.generation import offline, prompts, queries
from app.generation.plan import Wanted, plan_instances, shares_to_counts
from app.pipeline import OFFLINE, RunKind, Stage, Task
from app.settings import settings
from app.storage.bank import keep_templates
from app.storage.tables import Person, Project, Run, Selection

MOST_INSTANCES = 1_000_000
SUGGESTED_BUDGET_USD = 5.0

_BYTES_A_TOKEN = 3.5
_CASES_TOKENS = 700  # a good and a bad case with their analyses, as shipped
_RULES_TOKENS = 900  # the judge's system prompt
_VERDICT_TOKENS = 450  # about a sentence of reason for each rule
_LARGEST_SEED = 2**53 - 1  # survives JSON


class Order(NamedTuple):
    """A run that may be started: everything checked, every default filled in."""

    selection: Selection
    counts: dict[Task, int]
    shares: dict[Task, float]
    generator: str
    discriminator: str
    budget_micro: int | None
    seed: int


class Estimate(NamedTuple):
    """What a run will probably cost; None where the price of a model is unknown."""

    cost_micro: int | None
    input_tokens: int
    output_tokens: int


def start_generation(session: Session, project: Project, wanted: Wanted, person: Person | None) -> Run:
    """Open a run that makes what is wanted.

    What it was asked, the exact number of each task, its templates and the cases it may draw from are frozen
    with it. Raises InvalidInput naming the field, and Conflict where the project has no completed selection.
    """
    order = check_order(session, project, wanted)
    person_id = person.id if person else None
    templates = [prompts.template(task) for task in order.counts]
    params = {
        "selection_id": order.selection.id,
        "tasks": order.shares,
        "counts": order.counts,
        "count": wanted.count,
        "generator": order.generator,
        "discriminator": order.discriminator,
        "seed": order.seed,
        "templates": {template.name: template.content_hash for template in templates},
    }
    run = open_run(
        session,
        project.id,
        person_id,
        RunKind.GENERATE,
        params,
        total=wanted.count,
        budget_micro=order.budget_micro,
    )
    keep_templates(session, templates)
    queries.keep_shipped_cases(session)
    queries.freeze_snapshot(session, run, order.counts, order.seed)
    picks = queries.picks_in_order(session, order.selection.id)
    planned = plan_instances(picks, order.counts, order.seed, with_bugs=order.generator != OFFLINE)
    log(session, person_id, "generation started", f"run {run.id}", params, project_id=project.id)
    add_items(session, run, Stage.GENERATE, queries.add_planned(session, run, planned))
    return run


def check_order(session: Session, project: Project, wanted: Wanted) -> Order:
    """What `start_generation` would start. Raises what it would raise."""
    if not 1 <= wanted.count <= MOST_INSTANCES:
        raise InvalidInput(f"count must be from 1 to {MOST_INSTANCES:,}", "count")
    if not 0 <= wanted.seed <= _LARGEST_SEED:
        raise InvalidInput(f"seed must be from 0 to {_LARGEST_SEED}", "seed")
    generator = _model(wanted.generator or settings().generator_model, "generator")
    discriminator = _model(wanted.discriminator or settings().discriminator_model, "discriminator")
    shares = _shares(wanted.tasks)
    if generator == OFFLINE:
        _refuse_what_needs_a_model(shares)
    models = {"generator": generator, "discriminator": discriminator}
    return Order(
        selection=_selection(session, project, wanted.selection_id),
        counts=shares_to_counts(shares, wanted.count),
        shares=shares,
        **models,
        budget_micro=_budget(session, wanted.budget_usd, models),
        seed=wanted.seed,
    )


def estimate(session: Session, order: Order) -> Estimate:
    """The probable cost of `order`, from the mean size of its picks (about 3.5 bytes a token).

    The offline teacher and judge cost nothing.
    """
    sizes = queries.mean_sizes(session, order.selection.id)
    code, comment = sizes.code / _BYTES_A_TOKEN, sizes.comment / _BYTES_A_TOKEN
    cost: int | None = 0
    tokens_in = tokens_out = 0
    for task, count in order.counts.items():
        template = len(prompts.template(task).content.encode()) / _BYTES_A_TOKEN
        written = 2 * code + comment + 60  # information and solution, the instruction and the JSON around
        steps = (
            (order.generator, template + _CASES_TOKENS + code + comment, written),
            (order.discriminator, _RULES_TOKENS + _CASES_TOKENS + written, _VERDICT_TOKENS),
        )
        for model, asked, answered in steps:
            if model == OFFLINE:
                continue
            rate = rate_of(session, model)
            step_in, step_out = math.ceil(asked * count), math.ceil(answered * count)
            tokens_in, tokens_out = tokens_in + step_in, tokens_out + step_out
            cost = None if rate is None or cost is None else cost + rate.cost(step_in, step_out)
    return Estimate(cost, tokens_in, tokens_out)


def _shares(tasks: Mapping[str, float]) -> dict[Task, float]:
    """The wanted tasks in the usual order, without those whose share is zero."""
    unknown = sorted(set(tasks) - set(Task))
    if unknown:
        named = ", ".join(name[:40] for name in unknown[:5])
        raise InvalidInput(f"unknown task: {named}; the tasks are {', '.join(Task)}", "tasks")
    if any(not math.isfinite(share) or share < 0 for share in tasks.values()):
        raise InvalidInput("a task's share must be a number that is not negative", "tasks")
    shares = {task: float(tasks[task]) for task in Task if tasks.get(task)}
    if not shares:
        raise InvalidInput("at least one task needs a share above zero", "tasks")
    return shares


def _refuse_what_needs_a_model(shares: Mapping[Task, float]) -> None:
    beyond = [task for task in shares if task not in offline.TASKS]
    if beyond:
        raise InvalidInput(f"{', '.join(beyond)} needs a model; the generator is {OFFLINE}", "tasks")


def _model(name: str, field: str) -> str:
    if name != OFFLINE and not settings().has_model:
        raise InvalidInput(
            f'no provider is configured for the model "{name}": set OPENAI_API_KEY, or use {OFFLINE}', field
        )
    return name


def _selection(session: Session, project: Project, selection_id: int | None) -> Selection:
    if selection_id is None:
        newest = queries.newest_completed_selection(session, project.id)
        if newest is None:
            raise Conflict(f"project {project.slug} has no completed selection to generate from")
        return newest
    named = queries.completed_selection(session, project.id, selection_id)
    if named is None:
        raise InvalidInput(
            f"project {project.slug} has no completed selection {selection_id}", "selection_id"
        )
    return named


def _budget(session: Session, budget_usd: float | None, models: Mapping[str, str]) -> int | None:
    """The cap in micro-dollars. A cap can only hold where every price is known."""
    if budget_usd is None:
        return None
    if not math.isfinite(budget_usd) or not 0.000001 <= budget_usd <= 1_000_000:
        raise InvalidInput("budget_usd must be from 0.000001 to 1,000,000", "budget_usd")
    for field, model in models.items():
        if rate_of(session, model) is None:
            raise InvalidInput(
                f'the price of the {field} "{model}" is unknown: set it, or start without a budget',
                "budget_usd",
            )
    return round(budget_usd * 1_000_000)
