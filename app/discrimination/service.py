"""A project's rules: saving a version of them, and saying which is in force. Runs that have started keep their own."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.discrimination import rulebook
from app.discrimination.rubric import Rule
from app.discrimination.rulebook import NAME, SHIPPED_BOOK, Rulebook, book_of, book_text, rules_in, sets_of
from app.errors import Conflict
from app.pipeline import Task
from app.storage.locks import lock_project
from app.storage.replayed import WITHOUT, demand_replay
from app.storage.tables import Project
from app.storage.versions import (
    Chosen,
    Written,
    add_version,
    as_chosen,
    back_to_shipped,
    checked_note,
    chosen,
    chosen_in_force,
    in_force,
    put_in_force,
    versions_of,
)


class Shown(NamedTuple):
    """A version of a project's rules."""

    chosen: Chosen
    book: Rulebook

    @property
    def version(self) -> int | None:
        """None for the shipped one."""
        return self.chosen.version

    @property
    def label(self) -> str:
        return self.chosen.label

    @property
    def key(self) -> str:
        return self.chosen.key

    @property
    def is_in_force(self) -> bool:
        return self.chosen.is_in_force

    @property
    def content_hash(self) -> str:
        return self.chosen.template.content_hash


def versions(session: Session, project: Project) -> list[Written]:
    """Those that people wrote, the newest first."""
    return versions_of(session, project.id, NAME)


def rules_in_force(session: Session, project: Project) -> Shown:
    """What the next runs freeze."""
    return _shown(chosen_in_force(session, project.id, SHIPPED_BOOK))


def shown(session: Session, project: Project, key: str | None = None) -> Shown:
    """The version that `key` names; without one the newest, which may wait to be put in force. Raises NotFound."""
    return _shown(chosen(session, project.id, SHIPPED_BOOK, key))


def _shown(found: Chosen) -> Shown:
    return Shown(found, book_of(found.template.content))


def save_rule(
    session: Session, project: Project, base: Shown, rule: Rule, person_id: int | None, note: str = ""
) -> Shown:
    """Keep `base` with this rule as the next version; it is in force only when somebody puts it there.

    A rule that differs from every one of its name gets a number of its own. Raises InvalidInput.
    """
    lock_project(session, project.id)
    rule = rulebook.numbered(rule, known_books(session, project))
    return save_book(session, project, rulebook.with_rule(base.book, rule), person_id, note)


def known_books(session: Session, project: Project) -> list[Rulebook]:
    """Every version there is, the shipped one first."""
    return [rulebook.SHIPPED, *(book_of(one.row.content) for one in versions(session, project))]


def save_book(
    session: Session, project: Project, book: Rulebook, person_id: int | None, note: str = ""
) -> Shown:
    """Keep the whole book as the next version. One that is there already is that one. Raises InvalidInput."""
    rulebook.refuse_faults(book)
    note = checked_note(note)
    lock_project(session, project.id)
    force = in_force(session, project.id, SHIPPED_BOOK)
    text = book_text(book)
    if text == SHIPPED_BOOK.content:
        return _shown(as_chosen(SHIPPED_BOOK, SHIPPED_BOOK, force))
    row, is_new = add_version(session, project.id, NAME, text, person_id, note)
    if is_new:
        detail = {"hash": row.content_hash} | ({"note": note} if note else {})
        log(session, person_id, "rules saved", f"version {row.version}", detail, project_id=project.id)
    return _shown(as_chosen(Written(row, None).template, SHIPPED_BOOK, force))


def switch_rules(
    session: Session, project: Project, key: str, person_id: int | None, *, without_replay: bool = False
) -> Shown:
    """From now on runs start with this version of the rules.

    Raises NotFound, and Conflict where they do already, or where it asks what was never replayed.
    """
    lock_project(session, project.id)
    before, wanted = rules_in_force(session, project), shown(session, project, key)
    if wanted.is_in_force:
        raise Conflict(f"the rules in force are {wanted.label} already")
    if not without_replay:
        demand_replay(session, project.id, f"{wanted.label} of the rules", to_replay(before, wanted))
    if wanted.version is None:
        back_to_shipped(session, project.id, [NAME, *(f"rules/{task}" for task in Task)])
    else:
        whole = wanted.chosen.template
        put_in_force(session, project.id, [whole, *sets_of(wanted.book, whole.version)])
    log(
        session,
        person_id,
        "rules switched",
        wanted.label,
        {"before": before.label, "after": wanted.label, "hash": wanted.content_hash}
        | ({WITHOUT: True} if without_replay else {}),
        project_id=project.id,
    )
    return rules_in_force(session, project)


def to_replay(before: Shown, wanted: Shown) -> list[str]:
    """The hashes of the tasks' sets that ask something that is not asked now.

    Other weights need no judge: stored answers say what they would have done. The shipped rules can always come back.
    """
    if wanted.version is None:
        return []
    return [
        one.content_hash
        for task, one in zip(Task, sets_of(wanted.book, ""), strict=True)
        if not _questions(wanted.book, task) <= _questions(before.book, task)
    ]


def _questions(book: Rulebook, task: Task) -> set[Rule]:
    """What is asked, however it counts."""
    return {rule._replace(required=True, version=0, tasks=()) for rule in rules_in(book, task)}


def hashes_of(book: Rulebook) -> Mapping[Task, str]:
    """The hash of each task's rule set, as verdicts have it."""
    return {task: one.content_hash for task, one in zip(Task, sets_of(book, ""), strict=True)}
