"""Projects, their guidelines and reasons, and what models cost. Every change is in the log."""

from collections.abc import Sequence
from typing import Any

from license_expression import get_spdx_licensing
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.console.defaults import GUIDELINE, REASONS, slug_of
from app.errors import Conflict, InvalidInput
from app.storage.locks import lock_project, lock_row
from app.storage.tables import Guideline, Project

MOST_NAME_CHARACTERS = 100
MOST_DESCRIPTION_CHARACTERS = 2_000
MOST_GUIDELINE_CHARACTERS = 50_000
MOST_REASONS = 20
MOST_REASON_CHARACTERS = 40
MICRO = 1_000_000


def create_project(
    session: Session, actor: int | None, name: str, description: str = "", *, is_demo: bool = False
) -> Project:
    """A project with the default reasons and guideline. Its slug, made from the name, is unique (Conflict)."""
    name = _checked_name(name)
    slug = slug_of(name)
    if not slug:
        raise InvalidInput("a project's name needs at least one letter from a to z or a digit", "name")
    project = session.scalars(
        insert(Project)
        .values(
            slug=slug,
            name=name,
            description=_checked_description(description),
            reasons=list(REASONS),
            is_demo=is_demo,
        )
        .on_conflict_do_nothing(index_elements=["slug"])
        .returning(Project)
    ).one_or_none()
    if project is None:
        raise Conflict(f"there is already a project {slug}")
    session.add(Guideline(project_id=project.id, version=1, markdown=GUIDELINE, person_id=actor))
    log(session, actor, "project created", slug, {"name": name}, project_id=project.id)
    session.flush()
    return project


def edit_project(
    session: Session,
    actor: int | None,
    project: Project,
    *,
    name: str,
    description: str,
    reasons: Sequence[str],
    allowed_licenses: Sequence[str],
) -> None:
    """Change what a project is called and admits; its slug stays. No licences listed: every one is admitted."""
    wanted = {
        "name": _checked_name(name),
        "description": _checked_description(description),
        "reasons": _checked_reasons(reasons),
        "allowed_licenses": _checked_licenses(allowed_licenses),
    }
    lock_row(session, project)
    changed: dict[str, Any] = {}
    for key, value in wanted.items():
        if getattr(project, key) != value:
            changed[key] = {"from": getattr(project, key), "to": value}
            setattr(project, key, value)
    if changed:
        log(session, actor, "project changed", project.slug, changed, project_id=project.id)


def save_guideline(session: Session, actor: int | None, project: Project, markdown: str) -> int:
    """Keep a new version of the guideline and give its number; the same text again is the version in force."""
    markdown = markdown.replace("\r\n", "\n").strip() + "\n"
    if not markdown.strip():
        raise InvalidInput("a guideline cannot be empty", "markdown")
    if len(markdown) > MOST_GUIDELINE_CHARACTERS:
        raise InvalidInput(f"a guideline takes at most {MOST_GUIDELINE_CHARACTERS:,} characters", "markdown")
    # Two people who save at once get two versions, one after the other.
    lock_project(session, project.id)
    newest = guideline_in_force(session, project.id)
    if newest is not None and newest.markdown == markdown:
        return newest.version
    version = newest.version + 1 if newest is not None else 1
    session.add(Guideline(project_id=project.id, version=version, markdown=markdown, person_id=actor))
    log(session, actor, "guideline saved", f"version {version}", project_id=project.id)
    session.flush()
    return version


def guideline_in_force(session: Session, project_id: int) -> Guideline | None:
    query = select(Guideline).where(Guideline.project_id == project_id).order_by(Guideline.version.desc())
    return session.scalars(query.limit(1)).one_or_none()


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= MOST_NAME_CHARACTERS:
        raise InvalidInput(f"a project's name takes 1 to {MOST_NAME_CHARACTERS} characters", "name")
    return name


def _checked_description(description: str) -> str:
    description = description.strip()
    if len(description) > MOST_DESCRIPTION_CHARACTERS:
        raise InvalidInput(f"use at most {MOST_DESCRIPTION_CHARACTERS:,} characters", "description")
    return description


def _checked_licenses(licenses: Sequence[str]) -> list[str] | None:
    kept = list(dict.fromkeys(name.strip() for name in licenses if name.strip()))
    spdx = get_spdx_licensing()
    unknown = [name for name in kept if spdx.validate(name).errors]
    if unknown:
        raise InvalidInput(f"not SPDX identifiers: {', '.join(unknown)}", "allowed_licenses")
    return kept or None


def _checked_reasons(reasons: Sequence[str]) -> list[str]:
    kept = list(dict.fromkeys(" ".join(reason.split()) for reason in reasons if reason.strip()))
    if not 0 < len(kept) <= MOST_REASONS:
        raise InvalidInput(f"give 1 to {MOST_REASONS} reasons, one a line", "reasons")
    longest = max(kept, key=len)
    if len(longest) > MOST_REASON_CHARACTERS:
        raise InvalidInput(f"“{longest}” is longer than {MOST_REASON_CHARACTERS} characters", "reasons")
    return kept
