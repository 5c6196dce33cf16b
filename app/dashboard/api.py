"""How good the machine's opinions are, as people's decisions tell. Counts; what is not measured says so."""

from typing import Literal

from pydantic import BaseModel, Field

from app.dashboard import queries
from app.pipeline import Action
from app.web.dependencies import DbSession, ReadProject
from app.web.idempotency import api_router

router = api_router(tags=["quality"])


class ByVerdict(BaseModel):
    """People's standing decisions on instances with this verdict. `accept_rate`: of those decided, skips apart."""

    verdict: str | None = Field(
        description="pass, fail, invalid, or null: decided without one", examples=["pass"]
    )
    accept: int
    edit: int
    reject: int
    skip: int
    accept_rate: float | None = Field(description="(accept + edit) / (accept + edit + reject)")


class Overruled(BaseModel):
    """How often people answered a rule themselves."""

    rule: str
    machine: str
    person: str
    decisions: int


class Quality(BaseModel):
    """Counts of what people decided; what is not measured yet says so."""

    decisions: list[ByVerdict] = Field(
        examples=[[{"verdict": "pass", "accept": 40, "edit": 6, "reject": 4, "skip": 1, "accept_rate": 0.92}]]
    )
    overruled: list[Overruled] = Field(
        examples=[[{"rule": "readable", "machine": "yes", "person": "no", "decisions": 2}]]
    )
    calibration: Literal["not yet"] = "not yet"
    agreement: Literal["not yet"] = "not yet"
    audit: Literal["not yet"] = "not yet"


@router.get("/projects/{project}/quality")
def quality(session: DbSession, project: ReadProject) -> Quality:
    """People's decisions against the verdicts they saw."""
    by_verdict: dict[str | None, dict[str, int]] = {}
    for verdict, action, number in queries.decisions_by_verdict(session, project.id):
        by_verdict.setdefault(verdict, dict.fromkeys(Action, 0))[Action(action)] = number
    return Quality(
        decisions=[_by_verdict(verdict, actions) for verdict, actions in by_verdict.items()],
        overruled=[
            Overruled(rule=rule, machine=machine, person=person, decisions=number)
            for rule, machine, person, number in queries.overruled_rules(session, project.id)
        ],
    )


def _by_verdict(verdict: str | None, actions: dict[str, int]) -> ByVerdict:
    kept = actions[Action.ACCEPT] + actions[Action.EDIT]
    decided = kept + actions[Action.REJECT]
    return ByVerdict(verdict=verdict, accept_rate=kept / decided if decided else None, **actions)
