"""Versions of prompts and rules that people wrote, and which are in force. Touches the tables; logs and commits nothing."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.errors import InvalidInput, NotFound
from app.prompting.template import Template, template_hash, template_of
from app.storage.bank import keep_templates
from app.storage.tables import Person, PromptInForce, PromptVersion, RunTemplate
from app.storage.tables import Template as TemplateRow

SHIPPED = "shipped"
MOST_NOTE_CHARACTERS = 300


class Written(NamedTuple):
    """A version with the name of whoever wrote it; None: the command line."""

    row: PromptVersion
    author: str | None

    @property
    def template(self) -> Template:
        return Template(self.row.name, str(self.row.version), self.row.content, self.row.content_hash)


class Chosen(NamedTuple):
    """One version of a text; `version` is None for the shipped one."""

    template: Template
    version: int | None
    is_in_force: bool

    @property
    def label(self) -> str:
        return SHIPPED if self.version is None else f"version {self.version}"

    @property
    def key(self) -> str:
        """As addresses name it."""
        return SHIPPED if self.version is None else str(self.version)


def chosen(session: Session, project_id: int, shipped: Template, key: str | None = None) -> Chosen:
    """The version that `key` names; without one the newest, which may wait to be put in force.

    Raises NotFound, and InvalidInput for what is no version.
    """
    force = in_force(session, project_id, shipped)
    if key == SHIPPED:
        return as_chosen(shipped, shipped, force)
    if key:
        return as_chosen(version_of(session, project_id, shipped.name, _number(key)), shipped, force)
    newest = next(iter(versions_of(session, project_id, shipped.name)), None)
    return as_chosen(newest.template if newest else shipped, shipped, force)


def chosen_in_force(session: Session, project_id: int, shipped: Template) -> Chosen:
    """What the next runs freeze."""
    force = in_force(session, project_id, shipped)
    return as_chosen(force, shipped, force)


def as_chosen(found: Template, shipped: Template, force: Template) -> Chosen:
    version = None if found.content_hash == shipped.content_hash else int(found.version)
    return Chosen(found, version, found.content_hash == force.content_hash)


def add_version(
    session: Session, project_id: int, name: str, content: str, person_id: int | None, note: str
) -> tuple[PromptVersion, bool]:
    """Keep `content` as the next version of `name`; the same content again is the version that there is.

    Returns it and whether it is new. It is not in force by that. Its project is held by the caller.
    """
    hashed = template_hash(content)
    of_name = (PromptVersion.project_id == project_id, PromptVersion.name == name)
    known = session.scalars(
        select(PromptVersion).where(*of_name, PromptVersion.content_hash == hashed)
    ).one_or_none()
    if known is not None:
        return known, False
    newest = session.scalar(select(func.max(PromptVersion.version)).where(*of_name)) or 0
    row = PromptVersion(
        project_id=project_id,
        name=name,
        version=newest + 1,
        content=content,
        content_hash=hashed,
        person_id=person_id,
        note=note,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row, True


def versions_of(session: Session, project_id: int, name: str) -> list[Written]:
    """The newest first."""
    rows = session.execute(
        select(PromptVersion, Person.name)
        .outerjoin(Person, Person.id == PromptVersion.person_id)
        .where(PromptVersion.project_id == project_id, PromptVersion.name == name)
        .order_by(PromptVersion.version.desc())
    )
    return [Written(row, author) for row, author in rows]


def version_of(session: Session, project_id: int, name: str, version: int) -> Template:
    """Raises NotFound."""
    row = session.scalars(
        select(PromptVersion).where(
            PromptVersion.project_id == project_id,
            PromptVersion.name == name,
            PromptVersion.version == version,
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"{name} has no version {version} in this project")
    return Written(row, None).template


def in_force(session: Session, project_id: int, shipped: Template) -> Template:
    """What the next runs of a project render from: a version that people wrote, else `shipped`."""
    row = session.execute(
        select(TemplateRow.content, PromptVersion.version)
        .select_from(PromptInForce)
        .join(TemplateRow, TemplateRow.content_hash == PromptInForce.content_hash)
        .outerjoin(
            PromptVersion,
            (PromptVersion.project_id == PromptInForce.project_id)
            & (PromptVersion.name == PromptInForce.name)
            & (PromptVersion.content_hash == PromptInForce.content_hash),
        )
        .where(PromptInForce.project_id == project_id, PromptInForce.name == shipped.name)
    ).one_or_none()
    return shipped if row is None else template_of(shipped.name, str(row.version or ""), row.content)


def put_in_force(session: Session, project_id: int, templates: Sequence[Template]) -> None:
    """From now on runs start with these, each under its name."""
    keep_templates(session, templates)
    rows = [
        {"project_id": project_id, "name": one.name, "content_hash": one.content_hash} for one in templates
    ]
    statement = postgresql.insert(PromptInForce).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[PromptInForce.project_id, PromptInForce.name],
            set_={"content_hash": statement.excluded.content_hash},
        )
    )


def back_to_shipped(session: Session, project_id: int, names: Sequence[str]) -> None:
    session.execute(
        delete(PromptInForce).where(PromptInForce.project_id == project_id, PromptInForce.name.in_(names))
    )


def templates_of(session: Session, run_id: int) -> Mapping[str, str]:
    """What a run renders from, as far as it has fixed it: name -> content hash."""
    rows = session.execute(
        select(RunTemplate.name, RunTemplate.content_hash)
        .where(RunTemplate.run_id == run_id)
        .order_by(RunTemplate.name)
    )
    return {name: content_hash for name, content_hash in rows}


def _number(key: str) -> int:
    if not key.isdecimal() or len(key) > 9:
        raise InvalidInput(f"“{key[:40]}” is no version: give its number, or {SHIPPED}", "version")
    return int(key)


def checked_note(note: str) -> str:
    """On one line. Raises InvalidInput for one that is too long."""
    note = " ".join(note.split())
    if len(note) > MOST_NOTE_CHARACTERS:
        raise InvalidInput(f"a note has at most {MOST_NOTE_CHARACTERS} characters", "note")
    return note
