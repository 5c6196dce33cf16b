"""How a project's instances are read, and who reads what. Touches the tables; every change is in the log."""

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import InvalidInput
from app.pipeline import INSTANCE_LANGUAGES
from app.review.overlap import Policy, Visible
from app.storage.locks import lock_project
from app.storage.tables import Project, ReaderLanguages, ReviewPolicy

MOST_READERS = 5
MOST_SKIPS = 100


def policy_of(session: Session, project_id: int) -> Policy:
    return policy_in(session.get(ReviewPolicy, project_id))


def policy_in(row: ReviewPolicy | None) -> Policy:
    return Policy() if row is None else Policy(**{name: getattr(row, name) for name in Policy._fields})


def save_policy(session: Session, actor: int, project: Project, wanted: Policy) -> None:
    """Hold from the next reading on: an instance that somebody has begun keeps its number of readers.

    Raises:
        InvalidInput: names the field.
    """
    _check(wanted)
    lock_project(session, project.id)
    before = policy_of(session, project.id)
    if wanted == before:
        return
    row = insert(ReviewPolicy).values(project_id=project.id, **wanted._asdict())
    session.execute(row.on_conflict_do_update(index_elements=["project_id"], set_=wanted._asdict()))
    session.expire_all()
    changed: dict[str, Any] = {
        name: {"from": old, "to": new}
        for name, old, new in zip(Policy._fields, before, wanted, strict=True)
        if old != new
    }
    log(session, actor, "reading changed", project.slug, changed, project_id=project.id)


def _check(wanted: Policy) -> None:
    if not 0 <= wanted.overlap_percent <= 100:
        raise InvalidInput("the share is a percentage from 0 to 100", "overlap_percent")
    if not 2 <= wanted.overlap_readers <= MOST_READERS:
        raise InvalidInput(f"an instance is read by 2 to {MOST_READERS} people", "overlap_readers")
    if not 0 <= wanted.skips_to_adjudicate <= MOST_SKIPS:
        raise InvalidInput(f"give a number from 0 to {MOST_SKIPS}", "skips_to_adjudicate")
    if wanted.opinions_visible not in get_args(Visible):
        raise InvalidInput(f"choose one of {', '.join(get_args(Visible))}", "opinions_visible")


def languages_of(session: Session, project_id: int, person_id: int) -> Sequence[str]:
    """What a person reads in a project; none means every language."""
    row = session.get(ReaderLanguages, {"person_id": person_id, "project_id": project_id})
    return row.languages if row else ()


def save_languages(
    session: Session, actor: int, project: Project, person_id: int, languages: Sequence[str]
) -> None:
    """Choose what a person reads; all or none of them: everything, also what comes later.

    Raises:
        InvalidInput: names a language that is not one of ours.
    """
    unknown = sorted(set(languages) - set(INSTANCE_LANGUAGES))
    if unknown:
        raise InvalidInput(
            f"{unknown[0]!r} is not a language here; {', '.join(INSTANCE_LANGUAGES)} are", "languages"
        )
    chosen = [language for language in INSTANCE_LANGUAGES if language in languages]
    if len(chosen) == len(INSTANCE_LANGUAGES):
        chosen = []
    lock_project(session, project.id)
    if list(languages_of(session, project.id, person_id)) == chosen:
        return
    here = (ReaderLanguages.person_id == person_id, ReaderLanguages.project_id == project.id)
    session.execute(delete(ReaderLanguages).where(*here))
    session.expire_all()
    if chosen:
        session.add(ReaderLanguages(person_id=person_id, project_id=project.id, languages=chosen))
        session.flush()
    log(
        session,
        actor,
        "languages chosen",
        f"person {person_id}",
        {"languages": chosen or "all"},
        project_id=project.id,
    )
