"""Forty decisions in a row without a mouse: accepts, edits, rejections, skips, overrules, undo and a lost lease."""

from collections import Counter

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, select

from app.pipeline import Action, InstanceStatus
from app.storage.tables import Decision, Guideline, GuidelineSeen, Instance, Lease, RuleOverride
from tests.browser.conftest import Desk, Product, await_stored, editor_of
from tests.browser.real_code import FUNCTIONS, TASKS, make_real_instance
from tests.factories import make_run

pytestmark = pytest.mark.browser

ROUNDS = 5
# A round of eight: what is pressed, and the action that it comes to.
KEYS = (
    (("a",), Action.ACCEPT),
    (("e", "<typed>", "Control+Enter"), Action.EDIT),
    (("x", "3"), Action.REJECT),
    (("2", "a"), Action.ACCEPT),  # with an overrule
    (("s", "7"), Action.SKIP),
    (("n", "<noted>", "Escape", "a"), Action.ACCEPT),
    (("a", "u", "x", "1"), Action.REJECT),  # on second thought
    (("<lost>", "a", "a"), Action.ACCEPT),  # somebody had it for a moment
)


@pytest.fixture
def many(product: Product, desk: Desk) -> None:
    """Enough to read, and the guideline is read already."""
    with product.sessions.begin() as session:
        version = session.scalars(select(Guideline.version)).one()
        session.add(GuidelineSeen(person_id=desk.person.id, project_id=desk.project.id, version=version))
        run = make_run(session, desk.project)
        for number in range(36):
            task = TASKS[number % len(TASKS)]
            make_real_instance(session, desk.project, run, FUNCTIONS[number % len(FUNCTIONS)], task=task)


def _on_screen(page: Page) -> str:
    return str(page.locator("#card").get_attribute("data-instance"))


def _lose_the_lease(product: Product, instance_id: str) -> None:
    """Somebody else takes it and gives it back; their time is over by now."""
    with product.sessions.begin() as session:
        session.execute(delete(Lease).where(Lease.instance_id == int(instance_id)))


def _press(page: Page, product: Product, key: str) -> None:
    if key == "<typed>":
        expect(editor_of(page)).to_be_focused()
        page.keyboard.type("# au sx u\n")  # keys of the card are letters in here
    elif key == "<noted>":
        page.keyboard.type("Axes, exits and us.")
    elif key == "<lost>":
        _lose_the_lease(product, _on_screen(page))
    else:
        page.keyboard.press(key)


def _wait_for_another(page: Page, before: str) -> None:
    expect(page.locator("#card")).not_to_have_attribute("data-instance", before)
    expect(page.locator("#card")).to_be_focused()
    await_stored(page)


def test_forty_decisions_without_a_mouse(many: None, page: Page, product: Product, desk: Desk) -> None:
    made: list[tuple[int, Action]] = []
    for _ in range(ROUNDS):
        for keys, action in KEYS:
            card = _on_screen(page)
            for at, key in enumerate(keys):
                _press(page, product, key)
                if key == "a" and keys[at + 1 : at + 2] == ("u",):
                    _wait_for_another(page, card)
                elif key == "u":
                    expect(page.locator("#card")).to_have_attribute("data-instance", card)
                    expect(page.locator("#card")).to_be_focused()
                elif key == "a" and keys[at + 1 : at + 2] == ("a",):
                    expect(page.get_by_role("alert")).to_contain_text("Nothing was stored")
            _wait_for_another(page, card)
            made.append((int(card), action))

    with product.sessions() as session:
        standing = session.scalars(
            select(Decision).where(Decision.undone_at.is_(None)).order_by(Decision.id)
        ).all()
        undone = session.scalars(select(Decision.id).where(Decision.undone_at.is_not(None))).all()
        overruled = session.scalars(select(RuleOverride.decision_id)).all()
        waiting = select(Instance.id).where(Instance.status == InstanceStatus.WAITING)
        left = len(session.scalars(waiting).all())
    assert [(one.instance_id, one.action) for one in standing] == made
    assert Counter(one.action for one in standing) == {"accept": 20, "edit": 5, "reject": 10, "skip": 5}
    assert (len(undone), len(overruled)) == (ROUNDS, ROUNDS)
    assert [one.note for one in standing if one.note] == ["Axes, exits and us."] * ROUNDS
    assert left == 46 - 35  # what is skipped waits for somebody else
