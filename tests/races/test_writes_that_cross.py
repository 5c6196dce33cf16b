"""Different writes at once to the same rows: each is done or refused, in one order or another, and all adds up after."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from sqlalchemy import select

from app.pipeline import InstanceStatus, ItemState, Outcome, RunState, Stage
from app.storage.tables import ApiToken, Exemplar, Lease
from tests.factories import make_call, make_item
from tests.races.product import AT_ONCE, Answer, Asked, Product, form, send
from tests.races.recipes import RECIPES
from tests.races.worlds import World

REFUSED = {401, 404, 409, 422}


class Crossing(NamedTuple):
    """What is sent at once, each as often as the others; a question that has no answer as long as all adds up."""

    asked: Sequence[Asked]
    wrong: str = "SELECT WHERE false"


CROSSINGS: dict[str, Callable[[World], Crossing]] = {}


def crossing(made: Callable[[World], Crossing]) -> Callable[[World], Crossing]:
    CROSSINGS[made.__name__] = made
    return made


def of(world: World, *routes: str) -> list[Asked]:
    """The requests of these recipes, in one world."""
    return [RECIPES[route].asked(world) for route in routes]


def decision(world: World, **said: object) -> Asked:
    return send(f"/api/v1/instances/{world.instance.id}/decisions", **said)


# --- review -----------------------------------------------------------------------------------------------


@crossing
def an_edit_an_acceptance_and_a_rejection(world: World) -> Crossing:
    lease = world.lease()
    return Crossing(
        [
            decision(world, action="edit", edits={"solution": "x"}, lease=lease),
            decision(world, action="accept", lease=lease),
            decision(world, action="reject", reason="incorrect", lease=lease),
        ],
        f"SELECT WHERE (SELECT count(*) FROM decision WHERE instance_id = {world.instance.id}) <> 1",
    )


@crossing
def an_undo_and_the_second_reading(world: World) -> Crossing:
    world.instance.readings_wanted = 2
    mine = world.decided()
    lease = world.lease(person=world.reader)
    number = world.instance.id
    return Crossing(
        [
            send(f"/api/v1/decisions/{mine.id}/undo"),
            world.by(world.reader, decision(world, action="reject", reason="incorrect", lease=lease)),
        ],
        f"""SELECT readings, status FROM instance WHERE id = {number} AND (readings <> (
                SELECT count(*) FROM decision WHERE instance_id = {number} AND undone_at IS NULL)
            OR (readings = 2) <> (status = 'disputed'))""",
    )


@crossing
def a_draft_and_the_decision(world: World) -> Crossing:
    lease = world.lease()
    typed = form(f"/review/{world.instance.id}/draft", lease=lease, instruction="I", solution="S")
    return Crossing(
        [typed, decision(world, action="accept", lease=lease)],
        f"SELECT FROM draft WHERE instance_id = {world.instance.id}",
    )


@crossing
def two_adjudicators(world: World) -> Crossing:
    return Crossing(
        of(world, "POST /adjudication/{instance_id}", "POST /api/v1/instances/{instance_id}/adjudications"),
        f"SELECT WHERE (SELECT count(*) FROM decision WHERE instance_id = {world.instance.id}) <> 3",
    )


@crossing
def two_bulk_actions_and_a_reader(world: World) -> Crossing:
    lease = world.lease()
    newest = [world.make_instance() for _ in range(5)][-1].id
    rejecting = form("/instances/bulk/new", move="reject", rows=6, newest=newest, reason="incorrect")
    accepting = form("/instances/bulk/new?language=python", move="accept", rows=6, newest=newest)
    return Crossing(
        [rejecting, accepting, decision(world, action="accept", lease=lease)],
        f"""SELECT FROM bulk_action WHERE project_id = {world.project.id} AND count <> (
            SELECT count(*) FROM decision WHERE bulk_action_id = bulk_action.id)""",
    )


@crossing
def an_assignment_and_a_bulk_action(world: World) -> Crossing:
    newest = [world.make_instance() for _ in range(3)][-1].id
    return Crossing(
        [
            form("/instances/assign", reader=world.reader.id),
            form("/instances/assign/free", reader=world.reader.id),
            form("/instances/bulk/new", move="withdraw", rows=3, newest=newest),
            send(f"{world.api}/review/next"),
        ]
    )


@crossing
def a_case_is_pinned_and_forgotten(world: World) -> Crossing:
    mine = world.decided()
    case = world.session.scalars(select(Exemplar).where(Exemplar.instance_id == world.instance.id)).one()
    world.selection  # noqa: B018
    return Crossing(
        [
            form(f"/examples/{case.id}/standing", standing="pinned"),
            send(f"/api/v1/decisions/{mine.id}/undo"),
            send(f"{world.api}/generations", tasks={"generation": 1}, count=1),
        ]
    )


# --- audits and releases ----------------------------------------------------------------------------------


@crossing
def a_freeze_and_a_bulk_action(world: World) -> Crossing:
    newest = [world.make_instance() for _ in range(3)][-1].id
    return Crossing(
        [
            send(f"{world.api}/audits", max_defect_rate=0.4, alpha=0.05),
            form("/instances/bulk/new", move="reject", rows=3, newest=newest, reason="incorrect"),
        ],
        f"""SELECT lot_row.instance_id FROM lot_row JOIN instance ON instance.id = instance_id
            JOIN audit ON audit.id = audit_id
            WHERE audit.project_id = {world.project.id} AND status = 'rejected'""",
    )


@crossing
def an_answer_a_later_find_and_an_end(world: World) -> Crossing:
    draw = world.draw()
    answer = {"action": "reject", "defect": True, "reason": "incorrect", "lease": draw.lease.token}
    found = {"instance_id": draw.row.instance_id, "note": "It never ends."}
    return Crossing(
        [
            send(f"/api/v1/instances/{draw.row.instance_id}/decisions", **answer),
            send(f"/api/v1/audits/{world.audit.id}/defects", **found),
            send(f"/api/v1/audits/{world.audit.id}/abandon", why="The wrong filter."),
        ],
        f"""SELECT FROM audit WHERE id = {world.audit.id} AND state = 'abandoned' AND closed_at <
            (SELECT max(created_at) FROM decision WHERE audit_id = audit.id)""",
    )


@crossing
def two_words_on_a_label(world: World) -> Crossing:
    return Crossing(
        of(
            world,
            "POST /adjudication/audits/{audit_id}/{instance_id}",
            "POST /api/v1/audits/{audit_id}/adjudications",
        ),
        f"SELECT WHERE (SELECT count(*) FROM label_change WHERE audit_id = {world.audit.id}) <> 1",
    )


@crossing
def a_release_and_what_goes_into_it(world: World) -> Crossing:
    mine = world.decided()
    return Crossing(
        [
            send(f"{world.api}/releases", name="first"),
            form("/releases/new", name="first"),
            send(f"/api/v1/decisions/{mine.id}/undo"),
            form("/instances/bulk/new", move="withdraw", rows=1, newest=world.instance.id),
        ],
        f"SELECT WHERE (SELECT count(*) FROM release WHERE project_id = {world.project.id}) > 1",
    )


# --- runs -------------------------------------------------------------------------------------------------


@crossing
def a_pause_a_resumption_and_an_end(world: World) -> Crossing:
    run = world.generation
    return Crossing(
        [send(f"{world.api}/runs/{run.id}/{step}") for step in ("pause", "resume", "cancel")]
        + [send(f"{world.api}/runs/{run.id}/retry", outcome="unusable", how="ask")],
        f"""SELECT state FROM run WHERE id = {run.id} AND (state <> 'cancelled'
            OR EXISTS (SELECT FROM work_item WHERE run_id = run.id AND outcome IS NULL)
            OR total <> (SELECT sum(rows) FROM run_count WHERE run_id = run.id))""",
    )


@crossing
def a_budget_a_priority_and_a_write_off(world: World) -> Crossing:
    path = f"{world.api}/runs/{world.generation.id}"
    return Crossing(
        [
            send(f"{path}/budget", budget_usd=5),
            send(f"{path}/priority", priority="high"),
            send(f"{path}/write-off"),
            send(f"{path}/reparse"),
        ],
        f"SELECT FROM run WHERE id = {world.generation.id} AND reserved_micro <> 0",
    )


@crossing
def a_retry_and_a_decision(world: World) -> Crossing:
    """An instance whose verdict could not be read is with a reader whose lease has run out."""
    run = world.generation
    run.state = RunState.COMPLETED_WITH_ERRORS
    ended = {"state": ItemState.SUCCEEDED, "outcome": Outcome.INVALID_VERDICT, "run_id": run.id}
    make_item(world.session, world.instance, Stage.DISCRIMINATE, **ended)
    world.instance.status = InstanceStatus.WAITING
    lease = world.lease()
    held = world.session.scalars(select(Lease).where(Lease.token == lease)).one()
    held.expires_at = held.leased_at
    return Crossing(
        [
            decision(world, action="accept", lease=lease),
            send(f"{world.api}/runs/{run.id}/retry", outcome="invalid_verdict", how="ask"),
        ],
        f"""SELECT FROM instance JOIN decision ON decision.instance_id = instance.id
            WHERE instance.id = {world.instance.id} AND instance.status = 'generating'""",
    )


@crossing
def a_reading_again_and_a_decision(world: World) -> Crossing:
    """The last reply about an instance was read before, and is refused now."""
    run = world.run
    ended = {"state": ItemState.SUCCEEDED, "outcome": Outcome.PASSED, "run_id": run.id}
    item = make_item(world.session, world.instance, Stage.GENERATE, **ended)
    make_call(world.session, item, "no", usable=True)
    lease = world.lease()
    held = world.session.scalars(select(Lease).where(Lease.token == lease)).one()
    held.expires_at = held.leased_at
    return Crossing(
        [decision(world, action="accept", lease=lease), send(f"{world.api}/runs/{run.id}/reparse")],
        f"""SELECT FROM instance JOIN decision ON decision.instance_id = instance.id
            WHERE instance.id = {world.instance.id} AND instance.status = 'generating'""",
    )


# --- settings ---------------------------------------------------------------------------------------------


@crossing
def all_settings_of_a_project(world: World) -> Crossing:
    return Crossing(
        of(
            world,
            "POST /settings",
            "POST /settings/guideline",
            "POST /settings/reading",
            "POST /review/languages",
            "POST /rules/new",
            "POST /prompts/{kind}/{task}/edit",
        ),
        f"SELECT WHERE (SELECT count(*) FROM log_entry WHERE project_id = {world.project.id}) <> 6",
    )


@crossing
def a_token_is_used_and_revoked(world: World) -> Crossing:
    used = world.by(world.person, decision(world, action="accept", lease=world.lease()))
    number = world.session.scalars(select(ApiToken.id).order_by(ApiToken.id.desc())).first()
    return Crossing(
        [used, form(f"/settings/tokens/{number}/revoke")],
        f"SELECT WHERE (SELECT count(*) FROM decision WHERE instance_id = {world.instance.id}) > 1",
    )


@crossing
def everything_about_a_person(world: World) -> Crossing:
    number = world.reader.id
    return Crossing(
        [
            form(f"/settings/reading/languages/{number}", languages=["go"]),
            form("/instances/assign", reader=number),
            world.by(world.reader, send(f"{world.api}/review/next")),
        ]
    )


@pytest.mark.parametrize("name", CROSSINGS)
def test_writes_that_cross_add_up(product: Product, name: str) -> None:
    with product.sessions.begin() as session:
        world = World(session)
        asked, wrong = CROSSINGS[name](world)
        world.end_runs()
        sent = [world.at(asked[number % len(asked)], number) for number in range(AT_ONCE)]

    answers = product.race(sent)

    assert [one for one in answers if not one.is_done and one.status not in REFUSED] == []
    assert done_of(answers, len(asked)), answers
    assert product.value(wrong) is None, answers


def done_of(answers: Sequence[Answer], kinds: int) -> set[int]:
    """Which of the kinds were done at least once."""
    return {number % kinds for number, one in enumerate(answers) if one.is_done}
