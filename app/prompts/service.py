"""A project's prompts: saving a version, saying which is in force, trying one. Runs that have started keep their own."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.engine.items import add_items
from app.engine.money import Rate, most_it_can_cost, rate_of
from app.engine.runs import open_run
from app.errors import Conflict, InvalidInput
from app.pipeline import OFFLINE, RunKind, Task
from app.prompting.editing import faults, tidied
from app.prompting.template import Template, template_of
from app.prompting.trying import MOST_TRIES, Preview, Reading, Subject, longest_again
from app.prompts import queries
from app.prompts.desks import Desk
from app.settings import settings
from app.storage.frozen import freeze, freeze_in_force
from app.storage.locks import lock_project
from app.storage.replayed import WITHOUT, demand_replay
from app.storage.tables import Call, Project, Run, WorkItem
from app.storage.versions import (
    Chosen,
    Written,
    add_version,
    as_chosen,
    back_to_shipped,
    checked_note,
    chosen,
    chosen_in_force,
    in_force,
    put_in_force,
    versions_of,
)

PICKS_OF_A_TRY = 5


# --- versions ---------------------------------------------------------------------------------------------


class Standing(NamedTuple):
    """One prompt of a project: what is in force, and how many versions people have written."""

    name: str
    task: Task
    kind: str
    force: Chosen
    versions: list[Written]


def standing(session: Session, project: Project, desk: Desk, task: Task) -> Standing:
    shipped = desk.shipped(task)
    return Standing(
        shipped.name,
        task,
        desk.kind,
        chosen_in_force(session, project.id, shipped),
        versions_of(session, project.id, shipped.name),
    )


def shown(session: Session, project: Project, desk: Desk, task: Task, key: str | None = None) -> Chosen:
    """The version that `key` names; without one the newest. Raises NotFound."""
    return chosen(session, project.id, desk.shipped(task), key)


def checked(desk: Desk, task: Task, content: str) -> Template:
    """`content` as it would be kept. Raises InvalidInput with every fault and its line."""
    found = faults(content, desk.placeholders(task))
    if found:
        raise InvalidInput("; ".join(fault.words for fault in found[:20]), "content")
    return template_of(desk.shipped(task).name, "", tidied(content))


def save_prompt(
    session: Session,
    project: Project,
    desk: Desk,
    task: Task,
    content: str,
    person_id: int | None,
    note: str = "",
) -> Chosen:
    """Keep a version; it is in force only when somebody puts it there. The same text again is the version that there is.

    Raises InvalidInput.
    """
    shipped, written, note = desk.shipped(task), checked(desk, task, content), checked_note(note)
    lock_project(session, project.id)
    force = in_force(session, project.id, shipped)
    if written.content == shipped.content:
        return as_chosen(shipped, shipped, force)
    row, is_new = add_version(session, project.id, shipped.name, written.content, person_id, note)
    if is_new:
        detail = {"hash": row.content_hash} | ({"note": note} if note else {})
        subject = f"{shipped.name} version {row.version}"
        log(session, person_id, "prompt saved", subject, detail, project_id=project.id)
    return as_chosen(Written(row, None).template, shipped, force)


def switch_prompt(
    session: Session,
    project: Project,
    desk: Desk,
    task: Task,
    key: str,
    person_id: int | None,
    *,
    without_replay: bool = False,
) -> Chosen:
    """From now on runs start with this version.

    Raises NotFound, and Conflict where they do already, or for a judge's prompt that was never replayed.
    """
    shipped = desk.shipped(task)
    lock_project(session, project.id)
    before = chosen_in_force(session, project.id, shipped)
    wanted = chosen(session, project.id, shipped, key)
    if wanted.is_in_force:
        raise Conflict(f"{wanted.label} of {shipped.name} is in force already")
    if not without_replay:
        demand_replay(session, project.id, f"{wanted.label} of {shipped.name}", to_replay(desk, wanted))
    if wanted.version is None:
        back_to_shipped(session, project.id, [shipped.name])
    else:
        put_in_force(session, project.id, [wanted.template])
    detail = {"before": before.label, "after": wanted.label, "hash": wanted.template.content_hash}
    detail |= {WITHOUT: True} if without_replay else {}
    log(session, person_id, "prompt switched", shipped.name, detail, project_id=project.id)
    return wanted._replace(is_in_force=True)


def to_replay(desk: Desk, wanted: Chosen) -> list[str]:
    """A judge's prompt is tried on what people decided first; the shipped one can always come back."""
    is_judges = desk.asks == "discriminator" and wanted.version is not None
    return [wanted.template.content_hash] if is_judges else []


# --- looking at one on real material ----------------------------------------------------------------------


class Priced(NamedTuple):
    """What previews would cost at a model. Both are None where its price is unknown."""

    model: str
    about_micro: int | None
    at_most_micro: int | None

    @property
    def is_offline(self) -> bool:
        return self.model == OFFLINE


def subjects_of(
    session: Session, project: Project, desk: Desk, task: Task, person_id: int
) -> tuple[list[Subject], str | None]:
    """What the prompt can be looked at on, and why not where there is nothing."""
    try:
        found = desk.subjects(session, project.id, task, person_id)
    except Conflict as error:
        return [], str(error)
    return found, None if found else f"there is no {desk.subject} yet that this prompt could be looked at on"


def price_of(session: Session, desk: Desk, previews: Sequence[Preview], tries: int = 1) -> Priced:
    """At the configured model; `tries`: how often each may be asked at most."""
    model = model_of(desk)
    rate = rate_of(session, model)
    if rate is None:
        return Priced(model, None, None)
    return Priced(
        model,
        sum(rate.cost(one.prompt_tokens, one.reply_tokens) for one in previews),
        sum(_bound(one, rate, tries) for one in previews),
    )


def _bound(preview: Preview, rate: Rate, tries: int) -> int:
    first = most_it_can_cost(preview.prompt, rate)
    return first + (tries - 1) * most_it_can_cost(longest_again(preview.prompt), rate)


def model_of(desk: Desk) -> str:
    configured = settings()
    return configured.generator_model if desk.asks == "generator" else configured.discriminator_model


# --- tries ------------------------------------------------------------------------------------------------


class Planned(NamedTuple):
    """A try before it is started."""

    chosen: Chosen
    previews: list[Preview]
    price: Priced


def plan_try(session: Session, project: Project, desk: Desk, task: Task, key: str, person_id: int) -> Planned:
    """What would be asked, and what it would cost. Raises Conflict where there is nothing to try it on."""
    wanted = shown(session, project, desk, task, key)
    subjects, why_not = subjects_of(session, project, desk, task, person_id)
    if not subjects:
        raise Conflict(why_not or "there is nothing to try it on")
    if model_of(desk) == OFFLINE and desk.needs_model(task):
        raise Conflict(f"{task} needs a model; the {desk.asks} is {OFFLINE}")
    previews = desk.previews(session, project.id, task, wanted.template, subjects[:PICKS_OF_A_TRY])
    return Planned(wanted, previews, price_of(session, desk, previews, MOST_TRIES))


def start_try(session: Session, project: Project, desk: Desk, task: Task, key: str, person_id: int) -> Run:
    """Open a run that asks, within a budget of the most that it can cost. It makes neither instances nor verdicts.

    Raises Conflict where there is nothing to try it on.
    """
    planned = plan_try(session, project, desk, task, key, person_id)
    subjects = [one.subject for one in planned.previews]
    name = planned.chosen.template.name
    params = {
        "prompt": name,
        "version": planned.chosen.key,
        "task": task,
        "count": len(subjects),
        "seed": 0,
        desk.asks: planned.price.model,
        "subjects": {str(one.subject_id): one.words for one in subjects},
    }
    run = open_run(
        session,
        project.id,
        person_id,
        RunKind.TRY,
        params,
        total=len(subjects),
        budget_micro=planned.price.at_most_micro or None,
    )
    freeze(session, run.id, [planned.chosen.template])
    freeze_in_force(session, run)
    desk.begin(session, run, task, subjects)
    add_items(session, run, desk.stage, [one.subject_id for one in subjects])
    log(
        session,
        person_id,
        "prompt tried",
        f"{name} {planned.chosen.label}",
        {"run": run.id},
        project_id=project.id,
    )
    return run


class Tried(NamedTuple):
    """One pick or instance of a try; without a call it waits."""

    item: WorkItem
    words: str
    call: Call | None
    reading: Reading | None


def tried(session: Session, desk: Desk, run: Run) -> list[Tried]:
    return [
        Tried(
            item,
            run.params["subjects"].get(str(item.source_id), ""),
            call,
            desk.read(session, run, call) if call is not None and call.state in ("done", "cached") else None,
        )
        for item, call in queries.items_with_last_call(session, run.id)
    ]
