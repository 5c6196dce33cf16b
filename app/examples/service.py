"""Saying that a case is always to be drawn from, or never again. Runs that have started keep their cases."""

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import InvalidInput
from app.examples import queries
from app.examples.queries import Listed
from app.pipeline import Standing
from app.storage.locks import lock_project
from app.storage.tables import ExemplarStanding, Person, Project

MOST_NOTE_CHARACTERS = 300


def set_standing(
    session: Session, project: Project, person: Person, exemplar_id: int, standing: Standing, note: str = ""
) -> Listed:
    """Raises NotFound, and InvalidInput for a note that is too long."""
    note = " ".join(note.split())
    if len(note) > MOST_NOTE_CHARACTERS:
        raise InvalidInput(f"a note has at most {MOST_NOTE_CHARACTERS} characters", "note")
    lock_project(session, project.id)
    before = queries.one(session, project.id, person.id, exemplar_id)
    if (before.standing, before.note or "") == (standing, note):
        return before
    if standing is Standing.USUAL:
        session.execute(
            delete(ExemplarStanding).where(
                ExemplarStanding.project_id == project.id, ExemplarStanding.exemplar_id == exemplar_id
            )
        )
    else:
        said = {"standing": standing, "note": note, "person_id": person.id}
        statement = postgresql.insert(ExemplarStanding).values(
            project_id=project.id, exemplar_id=exemplar_id, **said
        )
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[ExemplarStanding.project_id, ExemplarStanding.exemplar_id], set_=said
            )
        )
    log(
        session,
        person.id,
        "example " + {Standing.USUAL: "left to the draw", Standing.PINNED: "pinned"}.get(standing, "retired"),
        f"example {exemplar_id}",
        {"before": before.standing} | ({"note": note} if note else {}),
        project_id=project.id,
    )
    return queries.one(session, project.id, person.id, exemplar_id)
