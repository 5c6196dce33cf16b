"""Starting a generation run, and what it will cost."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.engine.goals import add_goals, steer
from app.engine.items import add_items
from app.engine.money import checked_budget, rate_of
from app.engine.runs import open_run
from app.errors import Conflict, InvalidInput
from app.generation import offline, prompts, queries
from app.generation.plan import Goal, Mix, Wanted, lane_of, plan_attempts, plan_instances, shares_to_counts
from app.pipeline import LANGUAGES, OFFLINE, Granularity, Priority, RunKind, Stage, Task
from app.settings import settings
from app.storage.frozen import freeze_in_force
from app.storage.tables import Person, Project, Run, Selection
from app.storage.versions import in_force, templates_of

MOST_INSTANCES = 1_000_000
MOST_CANDIDATES = 20
SENT_BACK_SHARE = 0.3  # for estimates: nothing is known before a run
USUAL_ATTEMPTS = 2  # for each that should pass, where nothing else is said
SUGGESTED_BUDGET_USD = 5.0

_BYTES_A_TOKEN = 3.5
_CASES_TOKENS = 700  # a good and a bad case with their analyses, as shipped
_RULES_TOKENS = 900  # the judge's system prompt
_VERDICT_TOKENS = 450  # about a sentence of reason for each rule
_LARGEST_SEED = 2**53 - 1  # survives JSON


class Order(NamedTuple):
    """A run that may be started: everything checked, every default filled in."""

    selection: Selection
    counts: dict[Task, int]  # of a run with a goal: attempts at most
    shares: dict[Task, float]
    mix: Mix
    goal: Goal | None
    generator: str
    discriminator: str
    budget_micro: int | None
    priority: Priority
    seed: int
    send_back: bool

    @property
    def total(self) -> int:
        return sum(self.counts.values())


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
    shipped = [prompts.template(task) for task in order.counts]
    params = {
        "selection_id": order.selection.id,
        "tasks": order.shares,
        "counts": order.counts,
        "count": order.total,
        "goal": order.goal and order.goal._asdict(),
        "candidates": order.mix.candidates,
        "send_back": order.send_back,
        "generator": order.generator,
        "discriminator": order.discriminator,
        "seed": order.seed,
    }
    if Task.SUMMARIZATION in order.counts:
        params["granularities"] = dict(order.mix.granularities)
    if Task.TRANSLATION in order.counts:
        params["targets"] = dict(order.mix.targets)
    run = open_run(
        session,
        project.id,
        person_id,
        RunKind.GENERATE,
        params,
        total=order.total,
        budget_micro=order.budget_micro,
        priority=order.priority,
    )
    freeze_in_force(session, run, shipped)
    run.params = params | {"templates": templates_of(session, run.id)}
    queries.keep_shipped_cases(session)
    queries.freeze_snapshot(session, run, order.counts, order.seed)
    log(session, person_id, "generation started", f"run {run.id}", run.params, project_id=project.id)
    _add_work(session, run, order)
    return run


def _add_work(session: Session, run: Run, order: Order) -> None:
    """Plan every instance. With a goal they are parked, and as many let go as may be needed."""
    picks = queries.picks_in_order(session, order.selection.id)
    if order.goal is None:
        planned = plan_instances(picks, order.counts, order.seed, order.mix)
        add_items(session, run, Stage.GENERATE, queries.add_planned(session, run, planned))
        return
    planned = plan_attempts(picks, list(order.counts), order.goal.at_most, order.seed, order.mix)
    lanes = [lane_of(one) for one in planned]
    add_items(session, run, Stage.GENERATE, queries.add_planned(session, run, planned), lanes)
    add_goals(session, run.id, dict.fromkeys(lanes, order.goal.passes))
    steer(session, [run.id])


def check_order(session: Session, project: Project, wanted: Wanted) -> Order:
    """What `start_generation` would start. Raises what it would raise."""
    goal = _goal(wanted)
    if not 0 <= wanted.seed <= _LARGEST_SEED:
        raise InvalidInput(f"seed must be from 0 to {_LARGEST_SEED}", "seed")
    generator = _model(wanted.generator or settings().generator_model, "generator")
    discriminator = _model(wanted.discriminator or settings().discriminator_model, "discriminator")
    shares = _shares(wanted.tasks)
    if generator == OFFLINE:
        _refuse_what_needs_a_model(shares)
        if wanted.send_back:
            raise InvalidInput(f"only a model can correct a text; the generator is {OFFLINE}", "send_back")
    models = {"generator": generator, "discriminator": discriminator}
    selection = _selection(session, project, wanted.selection_id)
    return Order(
        selection=selection,
        counts=_counts(session, selection, shares, goal, wanted.count),
        shares=shares,
        mix=_mix(session, selection, shares, wanted, generator),
        goal=goal,
        **models,
        budget_micro=_budget(session, wanted.budget_usd, models),
        priority=_priority(wanted.priority),
        seed=wanted.seed,
        send_back=wanted.send_back,
    )


def estimate(session: Session, order: Order) -> Estimate:
    """The probable cost of `order`, from the mean size of its picks (about 3.5 bytes a token).

    The offline teacher and judge cost nothing. Where texts are sent back, `SENT_BACK_SHARE` of them are taken to be.
    """
    sizes = queries.mean_sizes(session, order.selection.id)
    code, comment = sizes.code / _BYTES_A_TOKEN, sizes.comment / _BYTES_A_TOKEN
    cost: int | None = 0
    tokens_in = tokens_out = 0
    for task, count in order.counts.items():
        prompt = in_force(session, order.selection.project_id, prompts.template(task))
        template = len(prompt.content.encode()) / _BYTES_A_TOKEN
        written = 2 * code + comment + 60  # information and solution, the instruction and the JSON around
        steps = (
            (order.generator, template + _CASES_TOKENS + code + comment, written),
            (order.discriminator, _RULES_TOKENS + _CASES_TOKENS + written, _VERDICT_TOKENS),
        )
        again = SENT_BACK_SHARE if order.send_back else 0
        for model, asked, answered in steps:
            if model == OFFLINE:
                continue
            rate = rate_of(session, model)
            step_in = math.ceil((asked + again * (asked + written)) * count)
            step_out = math.ceil((1 + again) * answered * count)
            tokens_in, tokens_out = tokens_in + step_in, tokens_out + step_out
            cost = None if rate is None or cost is None else cost + rate.cost(step_in, step_out)
    return Estimate(cost, tokens_in, tokens_out)


def _goal(wanted: Wanted) -> Goal | None:
    """Exactly one of a count and a goal says when the run has enough."""
    if wanted.until_pass is None:
        if wanted.at_most is not None:
            raise InvalidInput("at_most belongs to until_pass", "at_most")
        if wanted.count is None:
            raise InvalidInput("either count or until_pass is needed", "count")
        if not 1 <= wanted.count <= MOST_INSTANCES:
            raise InvalidInput(f"count must be from 1 to {MOST_INSTANCES:,}", "count")
        return None
    if wanted.count is not None:
        raise InvalidInput("count and until_pass exclude each other", "count")
    if not 1 <= wanted.until_pass <= MOST_INSTANCES:
        raise InvalidInput(f"until_pass must be from 1 to {MOST_INSTANCES:,}", "until_pass")
    at_most = wanted.until_pass * USUAL_ATTEMPTS if wanted.at_most is None else wanted.at_most
    if at_most < wanted.until_pass:
        raise InvalidInput("at_most cannot be less than until_pass", "at_most")
    return Goal(wanted.until_pass, at_most)


def _counts(
    session: Session, selection: Selection, shares: Mapping[Task, float], goal: Goal | None, count: int | None
) -> dict[Task, int]:
    if goal is None:
        assert count is not None  # _goal has seen to it
        return shares_to_counts(shares, count)
    languages = len(queries.languages_of(session, selection.id))
    if goal.at_most * languages * len(shares) > MOST_INSTANCES:
        raise InvalidInput(
            f"{len(shares)} tasks in {languages} languages with {goal.at_most:,} attempts each are more than "
            f"{MOST_INSTANCES:,} instances",
            "at_most",
        )
    return dict.fromkeys(shares, goal.at_most * languages)


def _priority(name: str) -> Priority:
    try:
        return Priority(name)
    except ValueError:
        raise InvalidInput(f"priority must be one of {', '.join(Priority)}", "priority") from None


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


def _mix(
    session: Session, selection: Selection, shares: Mapping[Task, float], wanted: Wanted, generator: str
) -> Mix:
    """What is drawn, with its defaults. Raises InvalidInput naming the field."""
    if not 1 <= wanted.candidates <= MOST_CANDIDATES:
        raise InvalidInput(f"candidates must be from 1 to {MOST_CANDIDATES}", "candidates")
    possible = offline.GRANULARITIES if generator == OFFLINE else tuple(Granularity)
    granularities = _named_shares(wanted.granularities, possible, Granularity, "granularities")
    targets = _named_shares(wanted.targets, LANGUAGES, LANGUAGES, "targets")
    here = queries.languages_of(session, selection.id) if Task.TRANSLATION in shares else ()
    if len(targets) == 1 and set(here) & set(targets):
        only = next(iter(targets))
        raise InvalidInput(
            f"some picks are in {only} and cannot be translated to {only}: name another target", "targets"
        )
    return Mix(granularities, targets, wanted.candidates, with_bugs=generator != OFFLINE)


def _named_shares(
    asked: Mapping[str, float], possible: Sequence[str], known: Iterable[str], field: str
) -> dict[str, float]:
    """Those above zero; evenly all that are possible where nothing is asked."""
    if not asked:
        return dict.fromkeys(possible, 1.0)
    unknown = [name for name in asked if name not in tuple(known)]
    if unknown:
        raise InvalidInput(f"“{unknown[0][:40]}” is none of {', '.join(known)}", field)
    if any(not math.isfinite(share) or share < 0 for share in asked.values()):
        raise InvalidInput("a share must be a number that is not negative", field)
    shares = {name: float(share) for name, share in asked.items() if share}
    if not shares:
        raise InvalidInput("at least one needs a share above zero", field)
    beyond = [name for name in shares if name not in possible]
    if beyond:
        raise InvalidInput(f"{', '.join(beyond)} needs a model; the generator is {OFFLINE}", field)
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
    budget_micro = checked_budget(budget_usd)
    for field, model in models.items():
        if budget_micro is not None and rate_of(session, model) is None:
            raise InvalidInput(
                f'the price of the {field} "{model}" is unknown: set it, or start without a budget',
                "budget_usd",
            )
    return budget_micro
