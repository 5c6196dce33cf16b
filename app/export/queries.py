"""What a release is made from, and releases themselves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.export.card import Credit, Facts
from app.pipeline import MAKING_STAGES, Action, AuditState, InstanceStatus, Stream
from app.rows.gates import Candidate
from app.storage.keyset import newest_first
from app.storage.rows import OWN_ORIGIN, served_as_exemplars
from app.storage.tables import (
    Audit,
    Call,
    Decision,
    ImportedRecord,
    Instance,
    Pick,
    Project,
    Release,
    Run,
    Selection,
    Snippet,
    Source,
    Template,
    VerdictRow,
)


class ReleaseRun(NamedTuple):
    release: Release
    run: Run


# --- releases ---------------------------------------------------------------------------------------------


def releases_of(session: Session, project_id: int, before: int | None, limit: int) -> list[ReleaseRun]:
    """The newest first."""
    statement = newest_first(_releases(project_id), Release.id, before, limit)
    return [ReleaseRun(release, run) for release, run in session.execute(statement)]


def release_named(session: Session, project_id: int, name: str) -> ReleaseRun:
    found = session.execute(_releases(project_id).where(Release.name == name)).one_or_none()
    if found is None:
        raise NotFound(f"there is no release {name} in this project")
    return ReleaseRun(*found)


def latest_release(session: Session, project_id: int) -> Release:
    """The newest one that is built."""
    found = session.scalars(
        select(Release)
        .where(Release.project_id == project_id, Release.manifest.is_not(None))
        .order_by(Release.id.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise NotFound("there is no release in this project yet")
    return found


def certified_audits(session: Session, project_id: int, most: int = 5) -> list[Audit]:
    """The newest ones."""
    mine = select(Audit).where(Audit.project_id == project_id, Audit.state == AuditState.CERTIFIED)
    return list(session.scalars(mine.order_by(Audit.id.desc()).limit(most)))


def audit_named(session: Session, project_id: int, audit_id: int | None) -> Audit:
    mine = select(Audit).where(Audit.project_id == project_id, Audit.id == audit_id)
    found = session.scalars(mine).one_or_none()
    if found is None:
        raise NotFound(f"there is no audit {audit_id} in this project")
    return found


def release_of_run(session: Session, run_id: int) -> Release:
    return session.scalars(select(Release).where(Release.run_id == run_id)).one()


def _releases(project_id: int) -> Select[Release, Run]:
    return select(Release, Run).join(Run, Run.id == Release.run_id).where(Release.project_id == project_id)


# --- what is said about them ------------------------------------------------------------------------------


def funnel(session: Session, project_id: int, released: int) -> dict[str, int]:
    """From raw code to the release, each step a count of rows."""
    by_status: dict[str, int] = {
        status: rows
        for status, rows in session.execute(
            select(Instance.status, func.count())
            .where(Instance.project_id == project_id)
            .group_by(Instance.status)
        )
    }
    picks = select(func.count(func.distinct(Pick.snippet_id))).join(
        Selection, Selection.id == Pick.selection_id
    )
    snippets = select(func.count()).select_from(Snippet).where(Snippet.project_id == project_id)
    return {
        "snippets": session.scalars(snippets).one(),
        "picked": session.scalars(picks.where(Selection.project_id == project_id)).one(),
        "instances": sum(by_status.values()),
        **{status.value: by_status.get(status, 0) for status in InstanceStatus},
        "released": released,
    }


def facts(session: Session, project: Project, chosen: Sequence[Candidate]) -> Facts:
    """What the card says about the chosen rows."""
    chosen_ids = [candidate.instance_id for candidate in chosen]
    mine = Instance.id == func.any(chosen_ids)
    return Facts(
        project=project.name,
        description=project.description,
        by_task=_counts(session, Instance.task, mine),
        by_language=_counts(session, Instance.language, mine),
        generators=sorted(_counts(session, Instance.generator, mine)),
        discriminators=sorted(_counts(session, Instance.discriminator, mine)),
        templates=_templates(session, chosen_ids),
        credits=_credits(session, mine),
        readers=_one(session, func.count(func.distinct(Decision.person_id)), project.id),
        decisions=_one(session, func.count(), project.id),
        cost_micro=int(
            session.scalars(
                select(func.sum(Call.cost_micro)).where(
                    Call.source_id == func.any(chosen_ids), Call.stage.in_(MAKING_STAGES)
                )
            ).one()
            or 0
        ),
        exemplars=len(served_as_exemplars(session, chosen_ids)),
    )


def _counts(session: Session, column: Any, *conditions: ColumnElement[bool]) -> dict[str, int]:
    statement = select(column, func.count()).where(*conditions).group_by(column).order_by(column)
    return {str(value): rows for value, rows in session.execute(statement)}


def _one(session: Session, what: ColumnElement[int], project_id: int) -> int:
    standing = (
        Decision.project_id == project_id,
        Decision.stream == Stream.WORK,
        Decision.undone_at.is_(None),
        Decision.action != Action.SKIP,
    )
    return session.scalars(select(what).select_from(Decision).where(*standing)).one()


def _templates(session: Session, chosen_ids: Sequence[int]) -> list[tuple[str, str]]:
    used = select(Call.template_hash).where(
        Call.source_id == func.any(chosen_ids), Call.stage.in_(MAKING_STAGES)
    )
    ruled = select(VerdictRow.rules_hash).where(VerdictRow.instance_id == func.any(chosen_ids))
    statement = (
        select(Template.name, Template.content_hash)
        .where(Template.content_hash.in_(used.union(ruled)))
        .order_by(Template.name, Template.content_hash)
    )
    return [(name, content_hash) for name, content_hash in session.execute(statement)]


def _credits(session: Session, mine: ColumnElement[bool]) -> list[Credit]:
    """The repositories behind the rows, and after them the finished sets."""
    statement = (
        select(Snippet.license, Snippet.repo, func.count())
        .join(Instance, Instance.snippet_id == Snippet.id)
        .where(mine)
        .group_by(Snippet.license, Snippet.repo)
        .order_by(Snippet.license, Snippet.repo)
    )
    of_sets = (
        select(
            ImportedRecord.license,
            func.concat_ws(", ", func.concat("imported: ", Source.name), OWN_ORIGIN["repo"].astext).label(
                "name"
            ),
        )
        .join(Instance, Instance.id == ImportedRecord.instance_id)
        .join(Source, Source.run_id == Instance.run_id)
        .where(mine)
        .subquery()
    )
    sets = select(*of_sets.c, func.count()).group_by(*of_sets.c).order_by(*of_sets.c)
    return [Credit(*row) for chosen in (statement, sets) for row in session.execute(chosen)]
