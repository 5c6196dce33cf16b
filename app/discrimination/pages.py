"""Replays by another judge. The rules have pages of their own."""

import math
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Form, Response

from app.discrimination import replaying
from app.errors import InvalidInput
from app.pipeline import Task
from app.web.dependencies import CurrentPerson, CurrentProject, DbSession, require_role
from app.web.flash import see_other
from app.web.formats import usd
from app.web.retry import page_router

router = page_router()


@router.post("/quality/replays", dependencies=[require_role("admin")])
def start_replay(
    session: DbSession,
    project: CurrentProject,
    person: CurrentPerson,
    discriminator: Annotated[str, Form(max_length=200)] = "",
    most: Annotated[str, Form(max_length=20)] = "",
    budget_usd: Annotated[str, Form(max_length=20)] = "",
    rules: Annotated[str, Form(max_length=20)] = "",
    prompt: Annotated[str, Form(max_length=40)] = "",
    estimate: Annotated[str, Form(max_length=5)] = "",
) -> Response:
    """With `estimate` only say what it would cost; the page of the replay shows it. `prompt`: `TASK:VERSION`."""
    wanted = replaying.Wanted(
        discriminator.strip(),
        int(_number(most, "most") or replaying.USUAL),
        _number(budget_usd, "budget_usd"),
        rules or None,
        _prompts(prompt),
    )
    if estimate:
        found = replaying.estimate(session, project, wanted)
        cost = "an unknown price" if found.cost_micro is None else f"about {usd(found.cost_micro)}"
        return see_other(
            f"/quality/replay?{urlencode({'rules': rules, 'prompt': prompt})}#other",
            f"{found.instances:,} instances by {wanted.discriminator}: {cost}.",
        )
    run = replaying.start_replay(session, project, wanted, person)
    return see_other(f"/quality/replays/{run.id}", "The replay is started.")


def _prompts(asked: str) -> dict[Task, str]:
    if not asked:
        return {}
    task, _, version = asked.partition(":")
    if task not in tuple(Task) or not version:
        raise InvalidInput(f"“{asked}” is no version of a prompt: give it as generation:2", "prompt")
    return {Task(task): version}


def _number(text: str, field: str) -> float | None:
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"“{text}” is not a number", field)
    return number
