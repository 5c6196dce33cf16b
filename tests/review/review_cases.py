"""Shared by the review tests: a project with readers and judged instances."""

from datetime import timedelta
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from app.pipeline import Action, Stage, Verdict
from app.review.history import Viewer
from app.review.judgement import Judgement
from app.review.leases import Card, next_card
from app.review.service import decide
from app.storage.tables import Instance, Lease, Person, Project, RuleAnswer, Snippet, VerdictRow
from tests.factories import make_call, make_instance, make_item, make_pick, make_run, make_snippet

LEAD = Viewer("a lead", is_admin=True)
RULES = {"language_named": "yes", "solves_it": "no", "readable": "yes"}


def instances_of(session: Session, project: Project, count: int, **values: Any) -> list[Instance]:
    """`count` waiting instances of one run, each with its own snippet."""
    run = make_run(session, project)
    return [
        make_instance(session, make_pick(session, make_snippet(session, project)), run, **values)
        for _ in range(count)
    ]


def judged(session: Session, instance: Instance, rules: dict[str, str] = RULES) -> VerdictRow:
    """Give `instance` a verdict that fails the rules answered no."""
    overall = Verdict.FAIL if "no" in rules.values() else Verdict.PASS
    call = make_call(session, make_item(session, instance, Stage.DISCRIMINATE), "{}")
    verdict = VerdictRow(
        instance_id=instance.id,
        call_id=call.id,
        revision=0,
        overall=overall,
        claimed=overall,
        contradictory=False,
        rules_hash="0" * 64,
    )
    session.add(verdict)
    session.flush()
    session.add_all(
        RuleAnswer(
            verdict_id=verdict.id,
            rule=rule,
            text=f"The rule {rule} holds.",
            required=True,
            checked_by="model",
            answer=answer,
            reason="" if answer == "yes" else "It returns nothing.",
        )
        for rule, answer in rules.items()
    )
    instance.verdict = overall
    session.flush()
    return verdict


def card_for(session: Session, project: Project, person: Person, **asked: Any) -> Card:
    card = next_card(session, project, person, **asked)
    assert isinstance(card, Card), card
    return card


def say(action: Action, **values: Any) -> Judgement:
    plain: dict[str, Any] = {"reason": None, "note": "", "edits": {}, "rules": {}}
    return Judgement(action=action, **(plain | values))


def decide_next(session: Session, project: Project, person: Person, judgement: Judgement) -> Any:
    card = card_for(session, project, person)
    return decide(session, person, card.instance.id, card.lease.token, judgement)


def run_out(session: Session, lease: Lease) -> None:
    """Let the time of a lease be over."""
    session.execute(
        update(Lease).where(Lease.id == lease.id).values(expires_at=func.now() - timedelta(minutes=1))
    )


def snippet_of(session: Session, instance: Instance) -> Snippet:
    return session.get_one(Snippet, instance.snippet_id)


class PlainBrowser:
    """A person at a browser without JavaScript."""

    def __init__(self, client: TestClient, csrf_token: str) -> None:
        self.client = client
        self.csrf_token = csrf_token

    def page(self, address: str = "/review") -> str:
        answer = self.client.get(address)
        assert answer.status_code == 200, answer.text
        return answer.text

    def send(self, address: str, **fields: Any) -> Any:
        return self.client.post(address, data={"csrf_token": self.csrf_token} | fields)
