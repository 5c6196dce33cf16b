"""Shared by the tests of the audit stream: a frozen lot, and people who read it."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.guarantee.sequential import prior_for
from app.pipeline import Action, Part
from app.review.audit_queries import Draw
from app.review.audit_stream import decide, next_draw
from app.review.draws import Answer, NothingToRead
from app.storage.tables import Audit, Decision, Instance, LotRow, Person, Project
from tests.review.review_cases import instances_of, say

OK = Answer(False, say(Action.ACCEPT))
DEFECT = Answer(True, say(Action.REJECT, reason="incorrect"))


def make_audit(
    session: Session,
    project: Project,
    rows: int = 5,
    *,
    census: int = 0,
    twice: tuple[int, ...] = (),
    **values: Any,
) -> Audit:
    """An audit of new instances, in the order of their numbers. `twice`: positions that are read by two people.

    Unless a rate is given no defect is allowed, so that it is open until all is read or one is found.
    """
    values = {"max_defect_rate": 0.01, "alpha": 0.05, "census": "read" if census else "none"} | values
    prior = prior_for(values["max_defect_rate"])
    audit = Audit(
        project_id=project.id,
        filters={},
        gates={},
        attempts=1,
        attempt=1,
        prior_a=prior.a,
        prior_b=prior.b,
        double_share=0.1,
        code_version="0",
        rows=rows,
        census_rows=census,
        dropped_rows=0,
        lot_sha256="0" * 64,
        seed="0" * 64,
        order_sha256="0" * 64,
        **values,
    )
    session.add(audit)
    session.flush()
    lot = instances_of(session, project, rows + census)
    for at, instance in enumerate(lot):
        in_census = at >= rows
        position = at - rows + 1 if in_census else at + 1
        session.add(
            LotRow(
                audit_id=audit.id,
                instance_id=instance.id,
                row_id=f"{project.slug}-{instance.id}",
                revision=0,
                content_hash="0" * 64,
                part=Part.CENSUS if in_census else Part.RANDOM,
                position=position,
                twice=not in_census and position in twice,
            )
        )
    session.flush()
    return audit


def lot_of(session: Session, audit: Audit, part: Part = Part.RANDOM) -> list[Instance]:
    """The instances of one part, in the order of the draws."""
    query = (
        select(Instance)
        .join(LotRow, LotRow.instance_id == Instance.id)
        .where(LotRow.audit_id == audit.id, LotRow.part == part)
        .order_by(LotRow.position)
    )
    return list(session.scalars(query))


def draw_for(session: Session, audit: Audit, person: Person, **asked: Any) -> Draw:
    project = session.get_one(Project, audit.project_id)
    draw = next_draw(session, project, person, audit_id=audit.id, **asked)
    assert isinstance(draw, Draw), draw
    return draw


def nothing_for(session: Session, audit: Audit, person: Person) -> NothingToRead:
    project = session.get_one(Project, audit.project_id)
    nothing = next_draw(session, project, person, audit_id=audit.id)
    assert isinstance(nothing, NothingToRead), nothing
    return nothing


def answer(session: Session, person: Person, draw: Draw, said: Answer) -> Decision:
    return decide(session, person, draw.row.instance_id, draw.lease.token, said)


def read_next(session: Session, audit: Audit, person: Person, said: Answer = OK) -> Draw:
    """The person reads the next draw, and says so."""
    draw = draw_for(session, audit, person)
    answer(session, person, draw, said)
    return draw


def answers_on(session: Session, audit: Audit) -> int:
    query = select(func.count()).select_from(Decision).where(Decision.audit_id == audit.id)
    return session.scalars(query).one()
