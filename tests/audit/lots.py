"""Lots to audit, and readers who say what they are told to."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit.asking import Wanted
from app.audit.service import freeze_lot
from app.pipeline import Action, InstanceStatus, Part, Stream
from app.storage.tables import Audit, Decision, Instance, LotRow, Person, Project, Revision
from tests.factories import make_instance, make_person, make_pick, make_run, make_snippet


def make_instances(session: Session, project: Project, count: int, **values: Any) -> list[Instance]:
    """Instances of one run and snippet, each with its own text and revision 0."""
    pick = make_pick(session, make_snippet(session, project))
    run = make_run(session, project)
    found: list[Instance] = []
    for number in range(count):
        instruction = f"Write function {run.id} {number} as its comment says."
        given = {"candidate": number, "instruction": instruction, "verdict": "pass"} | values
        instance = make_instance(session, pick, run, **given)
        session.add(_revision(instance, 0, instance.instruction))
        found.append(instance)
    session.flush()
    return found


def make_audit(session: Session, project: Project, person: Person | None = None, **wanted: Any) -> Audit:
    """2 % at 5 % unless said otherwise."""
    given: dict[str, Any] = {"max_defect_rate": 0.02, "alpha": 0.05} | wanted
    return freeze_lot(session, project, Wanted(**given), person)


def lot_of(session: Session, audit: Audit, part: Part = Part.RANDOM) -> list[LotRow]:
    """Its rows in order."""
    mine = select(LotRow).where(LotRow.audit_id == audit.id, LotRow.part == part).order_by(LotRow.position)
    return list(session.scalars(mine))


def read(
    session: Session,
    audit: Audit,
    row: LotRow,
    *,
    defect: bool = False,
    edit: str | None = None,
    by: Person | None = None,
) -> Decision:
    """Somebody's answer on a row; with `edit` they left this instruction as a revision of its own."""
    instance = session.get_one(Instance, row.instance_id)
    reader = by or make_person(session, project=session.get_one(Project, audit.project_id))
    action = Action.EDIT if edit else Action.REJECT if defect else Action.ACCEPT
    number = None
    if edit:
        number = 1 + max(
            session.scalars(select(Revision.number).where(Revision.instance_id == instance.id)), default=0
        )
        session.add(_revision(instance, number, edit))
    decision = Decision(
        project_id=audit.project_id,
        instance_id=instance.id,
        person_id=reader.id,
        stream=Stream.AUDIT,
        action=action,
        revision=row.revision,
        new_revision=number,
        audit_id=audit.id,
        defect=defect,
    )
    session.add(decision)
    session.flush()
    return decision


def read_all(session: Session, audit: Audit, rows: Iterable[LotRow]) -> None:
    """One reader finds all of them ok."""
    reader = make_person(session, project=session.get_one(Project, audit.project_id))
    for row in rows:
        read(session, audit, row, by=reader)


def withdraw(instance: Instance) -> None:
    instance.status = InstanceStatus.WITHDRAWN


def _revision(instance: Instance, number: int, instruction: str) -> Revision:
    return Revision(
        instance_id=instance.id,
        number=number,
        instruction=instruction,
        information=instance.information,
        solution=instance.solution,
    )
