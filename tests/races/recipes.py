"""How each write of the product is raced: what stands before it, and what is sent.

`once`: of any number of the same request at once exactly one has an effect. `each`: every one that says so has.
"""

from collections.abc import Callable
from typing import NamedTuple

from app.accounts.passwords import hash_password
from app.accounts.tokens import create_token
from app.discrimination.rubric import as_data
from app.discrimination.rulebook import SHIPPED, moved
from app.discrimination.service import save_book
from app.generation.prompts import template
from app.pipeline import Move, Scope, Task
from app.review.bulk import Asked as BulkAsked
from app.review.bulk import act
from app.review.filters import Filters
from app.storage.tables import BulkAction, Guideline, Price, RateLimit
from app.storage.versions import add_version
from tests.races.product import Asked, form, send, upload
from tests.races.worlds import World

Made = Callable[[World], Asked]


class Recipe(NamedTuple):
    route: str
    asked: Made
    each: bool
    everywhere: bool  # only for administrators of all projects


RECIPES: dict[str, Recipe] = {}


def once(route: str, *, everywhere: bool = False) -> Callable[[Made], Made]:
    return _kept(route, each=False, everywhere=everywhere)


def each(route: str, *, everywhere: bool = False) -> Callable[[Made], Made]:
    return _kept(route, each=True, everywhere=everywhere)


def _kept(route: str, *, each: bool, everywhere: bool) -> Callable[[Made], Made]:
    def keep(asked: Made) -> Made:
        assert route not in RECIPES
        RECIPES[route] = Recipe(route, asked, each, everywhere)
        return asked

    return keep


PASSWORD = "correct horse battery"
ROWS = b'{"func_name": "f", "docstring": "Add one to it.", "code": "def f(x):\\n    return x + 1\\n", "language": "python", "repo": "a/b", "path": "p.py", "sha": "1", "url": ""}\n'
ALPACA = b'{"instruction": "Add one.", "input": "", "output": "x + 1"}\n'

# --- signing in -------------------------------------------------------------------------------------------


@each("POST /signin")
def signin(world: World) -> Asked:
    world.person.password_hash = hash_password(PASSWORD)
    asked = form("/signin", name=world.person.name, password=PASSWORD, csrf_token="ours")
    return asked._replace(headers={**asked.headers, "Cookie": "breakwater_form=ours"})


@once("POST /signout")
def signout(world: World) -> Asked:
    return one_browser(world, form("/signout"))


@once("POST /password")
def set_password(world: World) -> Asked:
    world.person.password_hash = hash_password(PASSWORD)
    new = "incorrect horse battery"
    return one_browser(world, form("/password", password=new, again=new, old_password=PASSWORD))


def one_browser(world: World, asked: Asked) -> Asked:
    return world.at(asked)


@once("POST /theme")
def set_theme(world: World) -> Asked:
    return form("/theme", theme="dark")


# --- settings ---------------------------------------------------------------------------------------------


@once("POST /settings")
def edit_project(world: World) -> Asked:
    return form("/settings", name="Another name", reasons="wrong")


@once("POST /settings/guideline")
def save_guideline(world: World) -> Asked:
    return form("/settings/guideline", markdown="Read it.")


@once("POST /settings/projects", everywhere=True)
def create_project(world: World) -> Asked:
    return form("/settings/projects", name=f"New {world.slug}")


@once("POST /api/v1/projects", everywhere=True)
def create_project_over_rest(world: World) -> Asked:
    return send("/api/v1/projects", name=f"New {world.slug}")


@once("POST /settings/people", everywhere=True)
def add_person(world: World) -> Asked:
    return form("/settings/people", name=f"new-{world.slug}", role="viewer", where=world.slug)


@once("POST /settings/people/{person_id}/roles", everywhere=True)
def give_role(world: World) -> Asked:
    return form(f"/settings/people/{world.reader.id}/roles", role="viewer", where=world.slug)


@once("POST /settings/people/{person_id}/roles/remove", everywhere=True)
def take_role(world: World) -> Asked:
    return form(f"/settings/people/{world.reader.id}/roles/remove", where=world.slug)


@once("POST /settings/people/{person_id}/deactivate", everywhere=True)
def deactivate(world: World) -> Asked:
    return form(f"/settings/people/{world.reader.id}/deactivate")


@once("POST /settings/people/{person_id}/reactivate", everywhere=True)
def reactivate(world: World) -> Asked:
    world.reader.active = False
    return form(f"/settings/people/{world.reader.id}/reactivate")


@each("POST /settings/people/{person_id}/password", everywhere=True)
def reset_password(world: World) -> Asked:
    return form(f"/settings/people/{world.reader.id}/password")


@each("POST /settings/tokens")
def add_token(world: World) -> Asked:
    return form("/settings/tokens", name="cluster", scope="read")


@once("POST /settings/tokens/{token_id}/revoke")
def end_token(world: World) -> Asked:
    create_token(world.session, None, world.person, "old", Scope.READ)
    world.session.flush()
    number = world.session.connection().exec_driver_sql("SELECT max(id) FROM api_token").scalar_one()
    return form(f"/settings/tokens/{number}/revoke")


@once("POST /settings/models/prices", everywhere=True)
def set_price(world: World) -> Asked:
    return form("/settings/models/prices", model=world.slug, input_usd="1", output_usd="2")


@once("POST /settings/models/prices/remove", everywhere=True)
def forget_price(world: World) -> Asked:
    world.session.add(Price(model=world.slug, input_micro=1, output_micro=1))
    return form("/settings/models/prices/remove", model=world.slug)


@once("POST /settings/models/limits", everywhere=True)
def set_limit(world: World) -> Asked:
    return form("/settings/models/limits", limited_model=world.slug, requests_per_minute="9")


@once("POST /settings/models/limits/remove", everywhere=True)
def forget_limit(world: World) -> Asked:
    world.session.add(RateLimit(model=world.slug, requests_per_minute=9))
    return form("/settings/models/limits/remove", model=world.slug)


@once("POST /settings/reading")
def save_reading(world: World) -> Asked:
    return form(
        "/settings/reading",
        overlap_percent=20,
        overlap_readers=3,
        skips_to_adjudicate=2,
        opinions_visible="open",
    )


@once("POST /settings/reading/languages/{person_id}")
def choose_languages_of(world: World) -> Asked:
    return form(f"/settings/reading/languages/{world.reader.id}", languages=["python", "go"])


@once("POST /review/languages")
def choose_languages(world: World) -> Asked:
    return form("/review/languages", languages=["python"])


# --- sources, sets, selections, generations ---------------------------------------------------------------


@each("POST /sources")
def add_source(world: World) -> Asked:
    return upload("/sources", "rows.jsonl", ROWS)


@each("POST /api/v1/projects/{project}/sources")
def add_source_over_rest(world: World) -> Asked:
    return upload(f"{world.api}/sources", "rows.jsonl", ROWS)


@each("POST /imports/new")
def add_import(world: World) -> Asked:
    return upload("/imports/new", "set.jsonl", ALPACA)


@each("POST /api/v1/projects/{project}/imports")
def import_over_rest(world: World) -> Asked:
    return upload(f"{world.api}/imports", "set.jsonl", ALPACA)


@each("POST /selections")
def start_selection(world: World) -> Asked:
    world.instance  # noqa: B018 - its snippet
    return form("/selections", k="1", seed="0", languages=["python"])


@each("POST /api/v1/projects/{project}/selections")
def start_selection_over_rest(world: World) -> Asked:
    world.instance  # noqa: B018
    return send(f"{world.api}/selections", k=1)


@each("POST /generations")
def start_generation(world: World) -> Asked:
    world.selection  # noqa: B018
    return form("/generations", generation="1", count="3", generator="offline", discriminator="offline")


@each("POST /api/v1/projects/{project}/generations")
def start_generation_over_rest(world: World) -> Asked:
    world.selection  # noqa: B018
    return send(f"{world.api}/generations", tasks={"generation": 1}, count=3)


@once("POST /api/v1/projects/{project}/generations/estimate")
def estimate_generation(world: World) -> Asked:
    world.selection  # noqa: B018
    return send(f"{world.api}/generations/estimate", tasks={"generation": 1}, count=3)


# --- runs -------------------------------------------------------------------------------------------------


@once("POST /runs/{run_id}/budget")
def change_budget(world: World) -> Asked:
    return form(f"/runs/{world.generation.id}/budget", budget_usd="5")


@once("POST /api/v1/projects/{project}/runs/{run_id}/budget")
def change_budget_over_rest(world: World) -> Asked:
    return send(f"{world.api}/runs/{world.generation.id}/budget", budget_usd=5)


@once("POST /runs/{run_id}/priority")
def change_priority(world: World) -> Asked:
    return form(f"/runs/{world.generation.id}/priority", priority="high")


@once("POST /api/v1/projects/{project}/runs/{run_id}/priority")
def change_priority_over_rest(world: World) -> Asked:
    return send(f"{world.api}/runs/{world.generation.id}/priority", priority="high")


@once("POST /runs/{run_id}/retry")
def retry(world: World) -> Asked:
    return form(f"/runs/{world.generation.id}/retry", outcome="unusable", how="ask")


@once("POST /api/v1/projects/{project}/runs/{run_id}/retry")
def retry_over_rest(world: World) -> Asked:
    return send(f"{world.api}/runs/{world.generation.id}/retry", outcome="unusable", how="ask")


@each("POST /runs/{run_id}/reparse")
def reparse(world: World) -> Asked:
    return form(f"/runs/{world.generation.id}/reparse")


@each("POST /api/v1/projects/{project}/runs/{run_id}/reparse")
def reparse_over_rest(world: World) -> Asked:
    return send(f"{world.api}/runs/{world.generation.id}/reparse")


@once("POST /runs/{run_id}/write-off")
def write_off(world: World) -> Asked:
    return form(f"/runs/{world.generation.id}/write-off")


@once("POST /api/v1/projects/{project}/runs/{run_id}/write-off")
def write_off_over_rest(world: World) -> Asked:
    return send(f"{world.api}/runs/{world.generation.id}/write-off")


@once("POST /runs/{run_id}/{step}")
def cancel(world: World) -> Asked:
    return form(f"/runs/{world.generation.id}/cancel")


@once("POST /api/v1/projects/{project}/runs/{run_id}/{step}")
def resume_over_rest(world: World) -> Asked:
    return send(f"{world.api}/runs/{world.generation.id}/resume")


# --- prompts, rules, examples -----------------------------------------------------------------------------

SHIPPED_PROMPT = template(Task.GENERATION)
PLAINER = SHIPPED_PROMPT.content.replace("The logic is readable", "Anybody can read the logic")


@once("POST /prompts/{kind}/{task}/edit")
def edit_prompt(world: World) -> Asked:
    return form("/prompts/generate/generation/edit", content=PLAINER, do="save")


@once("POST /api/v1/projects/{project}/prompts/{kind}/{task}/versions")
def save_prompt(world: World) -> Asked:
    return send(f"{world.api}/prompts/generate/generation/versions", content=PLAINER)


@once("POST /prompts/{kind}/{task}/in-force")
def switch_prompt(world: World) -> Asked:
    add_version(world.session, world.project.id, SHIPPED_PROMPT.name, PLAINER, world.person.id, "")
    return form("/prompts/generate/generation/in-force", version="1")


@once("POST /api/v1/projects/{project}/prompts/{kind}/{task}/in-force")
def switch_prompt_over_rest(world: World) -> Asked:
    add_version(world.session, world.project.id, SHIPPED_PROMPT.name, PLAINER, world.person.id, "")
    return send(f"{world.api}/prompts/generate/generation/in-force", version=1)


@each("POST /prompts/{kind}/{task}/try")
def start_try(world: World) -> Asked:
    world.selection  # noqa: B018
    return form("/prompts/generate/generation/try", version="shipped")


@each("POST /api/v1/projects/{project}/prompts/{kind}/{task}/tries")
def start_try_over_rest(world: World) -> Asked:
    world.selection  # noqa: B018
    return send(f"{world.api}/prompts/generate/generation/tries")


@once("POST /api/v1/projects/{project}/prompts/{kind}/{task}/tries/estimate")
def estimate_try(world: World) -> Asked:
    world.selection  # noqa: B018
    return send(f"{world.api}/prompts/generate/generation/tries/estimate")


@once("POST /rules/new")
def add_rule(world: World) -> Asked:
    return form("/rules/new", rule="is_short", text="It is short.", tasks=["generation"])


@once("POST /rules/{rule}")
def edit_rule(world: World) -> Asked:
    return form("/rules/readable", text="Anybody can read it.", tasks=["generation"])


@once("POST /rules/{rule}/retired")
def retire_rule(world: World) -> Asked:
    return form("/rules/readable/retired", version="shipped", retired="true")


@once("POST /rules/{rule}/place")
def move_rule(world: World) -> Asked:
    return form("/rules/readable/place", version="shipped", step=-1, task="generation")


@once("POST /rules/in-force")
def switch_rules(world: World) -> Asked:
    save_book(world.session, world.project, moved(SHIPPED, "readable", Task.GENERATION, -1), None)
    return form("/rules/in-force", version="1", without_replay="true")


@once("POST /api/v1/projects/{project}/rules/in-force")
def switch_rules_over_rest(world: World) -> Asked:
    save_book(world.session, world.project, moved(SHIPPED, "readable", Task.GENERATION, -1), None)
    return send(f"{world.api}/rules/in-force", version=1, without_replay=True)


@once("POST /api/v1/projects/{project}/rules/versions")
def save_rules(world: World) -> Asked:
    rules = [as_data(one.rule) for one in moved(SHIPPED, "readable", Task.GENERATION, -1)]
    return send(f"{world.api}/rules/versions", rules=rules)


@once("POST /examples/{exemplar_id}/standing")
def set_standing(world: World) -> Asked:
    return form(f"/examples/{world.exemplar.id}/standing", standing="pinned", note="As it should be.")


@once("PUT /api/v1/projects/{project}/exemplars/{exemplar_id}/standing")
def set_standing_over_rest(world: World) -> Asked:
    return send(f"{world.api}/exemplars/{world.exemplar.id}/standing", "PUT", standing="retired")


@each("POST /quality/replays")
def start_replay(world: World) -> Asked:
    world.judged  # noqa: B018
    return form("/quality/replays", discriminator="offline")


@each("POST /api/v1/projects/{project}/quality/replay-runs")
def start_replay_over_rest(world: World) -> Asked:
    world.judged  # noqa: B018
    return send(f"{world.api}/quality/replay-runs", discriminator="offline")


@once("POST /api/v1/projects/{project}/quality/replay-runs/estimate")
def estimate_replay(world: World) -> Asked:
    world.judged  # noqa: B018
    return send(f"{world.api}/quality/replay-runs/estimate", discriminator="offline")


@once("POST /api/v1/projects/{project}/quality/replays")
def replay_of_weights(world: World) -> Asked:
    world.judged  # noqa: B018
    return send(f"{world.api}/quality/replays", rules={"solution_answers": "advisory"})


# --- review -----------------------------------------------------------------------------------------------


@once("POST /review/ahead")
def ahead(world: World) -> Asked:
    world.lease()
    world.make_instance()
    return form("/review/ahead", shown=world.instance.id)


@once("POST /api/v1/projects/{project}/review/next")
def next_to_review(world: World) -> Asked:
    world.instance  # noqa: B018
    world.make_instance()
    return send(f"{world.api}/review/next")


@once("POST /review/{instance_id}/decide")
def decide(world: World) -> Asked:
    number, lease = world.instance.id, world.lease()
    return form(
        f"/review/{number}/decide",
        action="edit",
        instruction="Add one.",
        information="",
        solution="x",
        lease=lease,
    )


@once("POST /api/v1/instances/{instance_id}/decisions")
def decide_over_rest(world: World) -> Asked:
    return send(f"/api/v1/instances/{world.instance.id}/decisions", action="accept", lease=world.lease())


@once("POST /review/undo/{decision_id}")
def undo(world: World) -> Asked:
    return form(f"/review/undo/{world.decided().id}")


@once("POST /api/v1/decisions/{decision_id}/undo")
def undo_over_rest(world: World) -> Asked:
    return send(f"/api/v1/decisions/{world.decided().id}/undo")


@once("POST /review/{instance_id}/draft")
def keep_draft(world: World) -> Asked:
    number, lease = world.instance.id, world.lease()
    return form(
        f"/review/{number}/draft", lease=lease, instruction="I", information="", solution="S", note=""
    )


@once("POST /review/{instance_id}/draft/discard")
def discard_draft(world: World) -> Asked:
    return form(f"/review/{world.instance.id}/draft/discard")


@once("POST /review/{instance_id}/renew")
def renew(world: World) -> Asked:
    return form(f"/review/{world.instance.id}/renew", lease=world.lease())


@once("POST /review/guideline/seen")
def guideline_seen(world: World) -> Asked:
    world.session.add(Guideline(project_id=world.project.id, version=1, markdown="Read twice."))
    world.session.flush()
    return form("/review/guideline/seen", version=1)


@once("POST /adjudication/{instance_id}")
def adjudicate(world: World) -> Asked:
    number = world.disputed.id
    seen = world.session.connection().exec_driver_sql("SELECT max(id) FROM decision").scalar_one()
    return form(f"/adjudication/{number}", choice="accept", seen=seen)


@once("POST /api/v1/instances/{instance_id}/adjudications")
def adjudicate_over_rest(world: World) -> Asked:
    return send(f"/api/v1/instances/{world.disputed.id}/adjudications", action="send_back", note="Again.")


@once("POST /instances/bulk/new")
def act_in_bulk(world: World) -> Asked:
    world.make_instance()
    newest = world.make_instance().id
    return form("/instances/bulk/new", move="reject", rows=2, newest=newest, reason="incorrect")


@once("POST /instances/bulk/{bulk_action_id}/undo")
def undo_in_bulk(world: World) -> Asked:
    return form(f"/instances/bulk/{bulk_action_in(world).id}/undo")


def bulk_action_in(world: World) -> BulkAction:
    asked = BulkAsked(Move.REJECT, "incorrect", "", 1, world.instance.id)
    return act(world.session, world.person, world.project, Filters(), asked)


@each("POST /instances/assign")
def assign(world: World) -> Asked:
    world.instance  # noqa: B018
    return form("/instances/assign", reader=world.reader.id)


@each("POST /instances/assign/free")
def free(world: World) -> Asked:
    world.instance.assigned_to = world.reader.id
    return form("/instances/assign/free", reader=world.reader.id)


# --- audits and releases ----------------------------------------------------------------------------------


@once("POST /audits/new")
def freeze(world: World) -> Asked:
    world.instance  # noqa: B018
    return form("/audits/new", max_defect_rate="40", alpha="5", newest=0)


@each("POST /api/v1/projects/{project}/audits")
def freeze_over_rest(world: World) -> Asked:
    world.instance  # noqa: B018
    return send(f"{world.api}/audits", max_defect_rate=0.4, alpha=0.05)


@once("POST /audits/{audit_id}/abandon")
def abandon(world: World) -> Asked:
    return form(f"/audits/{world.audit.id}/abandon", why="The wrong filter.")


@once("POST /api/v1/audits/{audit_id}/abandon")
def abandon_over_rest(world: World) -> Asked:
    return send(f"/api/v1/audits/{world.audit.id}/abandon", why="The wrong filter.")


@once("POST /review/audits/{audit_id}/{instance_id}/answer")
def answer_draw(world: World) -> Asked:
    draw = world.draw()
    path = f"/review/audits/{draw.audit.id}/{draw.row.instance_id}/answer"
    return form(path, choice="leave_out", reason="incorrect", lease=draw.lease.token)


@once("POST /review/audits/{audit_id}/{instance_id}/renew")
def renew_draw(world: World) -> Asked:
    draw = world.draw()
    path = f"/review/audits/{draw.audit.id}/{draw.row.instance_id}/renew"
    return form(path, lease=draw.lease.token)


@once("POST /adjudication/audits/{audit_id}/{instance_id}")
def adjudicate_draw(world: World) -> Asked:
    number = world.disputed_draw.instance_id
    return form(f"/adjudication/audits/{world.audit.id}/{number}", choice="ok")


@once("POST /api/v1/audits/{audit_id}/adjudications")
def adjudicate_draw_over_rest(world: World) -> Asked:
    number = world.disputed_draw.instance_id
    return send(f"/api/v1/audits/{world.audit.id}/adjudications", instance_id=number, defect=True)


@once("POST /instances/{instance_id}/audits/{audit_id}/defect")
def find_later(world: World) -> Asked:
    number = world.read_as_ok.instance_id
    return form(f"/instances/{number}/audits/{world.audit.id}/defect", note="It never ends.")


@once("POST /api/v1/audits/{audit_id}/defects")
def find_later_over_rest(world: World) -> Asked:
    number = world.read_as_ok.instance_id
    return send(f"/api/v1/audits/{world.audit.id}/defects", instance_id=number, note="It never ends.")


@once("POST /releases/new")
def add_release(world: World) -> Asked:
    world.decided()
    return form("/releases/new", name="first")


@once("POST /api/v1/projects/{project}/releases")
def add_release_over_rest(world: World) -> Asked:
    world.decided()
    return send(f"{world.api}/releases", name="first")
