"""What a release is made from, and releases themselves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from app.errors import NotFound
from app.export.card import Credit, Facts
from app.export.formats import Admitted
from app.export.gates import Candidate
from app.pipeline import Action, Finding, InstanceStatus
from app.storage.keyset import newest_first
from app.storage.tables import (
    Call,
    Decision,
    Evidence,
    Exemplar,
    ImportedRecord,
    Instance,
    Pick,
    Project,
    Release,
    Revision,
    Run,
    Selection,
    Snippet,
    Source,
    Template,
    VerdictRow,
)

_AT_A_TIME = 1000

# Where an imported row says it comes from; null, and with it everything in it, where it says nothing.
_OWN_ORIGIN = ImportedRecord.kept["source"]


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


def release_of_run(session: Session, run_id: int) -> Release:
    return session.scalars(select(Release).where(Release.run_id == run_id)).one()


def _releases(project_id: int) -> Select[Release, Run]:
    return select(Release, Run).join(Run, Run.id == Release.run_id).where(Release.project_id == project_id)


# --- rows -------------------------------------------------------------------------------------------------


def candidates(session: Session, project_id: int, filters: Mapping[str, Any]) -> Iterator[Candidate]:
    """What people accepted or edited and the filters admit, in order of their numbers; no texts but hashes."""
    does_not_parse = exists().where(
        Evidence.instance_id == Instance.id,
        Evidence.revision == Instance.revision,
        Evidence.kind == "parses",
        Evidence.result == Finding.FAIL,
    )
    text_hash = func.md5(
        func.concat_ws("\x1f", Instance.task, Instance.instruction, Instance.information, Instance.solution)
    )
    statement = (
        select(
            Instance.id,
            Instance.revision,
            text_hash,
            func.coalesce(Snippet.license, ImportedRecord.license),
            # An imported row that names no repository stands for itself: a set as a whole must not be one side.
            func.coalesce(Snippet.repo, _OWN_ORIGIN["repo"].astext, func.concat("imported ", Instance.id)),
            does_not_parse,
            Instance.snippet_id.is_not(None),
        )
        .outerjoin(Snippet, Snippet.id == Instance.snippet_id)
        .outerjoin(ImportedRecord, ImportedRecord.instance_id == Instance.id)
        .where(*_accepted(project_id, filters))
        .order_by(Instance.id)
        .execution_options(yield_per=_AT_A_TIME)
    )
    for row in session.execute(statement):
        yield Candidate(*row)


def admitted_rows(session: Session, chosen: Sequence[Candidate]) -> Iterator[Admitted]:
    """The texts of the chosen revisions, in the order of `chosen`. Revisions never change."""
    for start in range(0, len(chosen), _AT_A_TIME):
        batch = chosen[start : start + _AT_A_TIME]
        wanted = {candidate.instance_id: candidate.revision for candidate in batch}
        found = {row[0]: Admitted(*row) for row in session.execute(_texts(wanted))}
        yield from (found[candidate.instance_id] for candidate in batch)


def _accepted(project_id: int, filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions = [Instance.project_id == project_id, Instance.status == InstanceStatus.ACCEPTED]
    if tasks := filters.get("tasks"):
        conditions.append(Instance.task.in_(tasks))
    if languages := filters.get("languages"):
        conditions.append(Instance.language.in_(languages))
    return conditions


def _texts(wanted: Mapping[int, int]) -> Select[*tuple[Any, ...]]:
    decided = aliased(Decision)
    action = (
        select(decided.action)
        .where(
            decided.instance_id == Instance.id,
            decided.action.in_((Action.ACCEPT, Action.EDIT)),
            decided.undone_at.is_(None),
        )
        .order_by(decided.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    served = exists().where(Exemplar.instance_id == Instance.id, Exemplar.id.in_(_shown_exemplars()))
    return (
        select(
            Instance.id,
            Instance.task,
            Instance.task_name,
            Revision.instruction,
            Revision.information,
            Revision.solution,
            Instance.language,
            Instance.target_language,
            Revision.number,
            Instance.generator,
            Instance.discriminator,
            func.coalesce(action, Action.ACCEPT.value),
            served,
            func.coalesce(Snippet.repo, _OWN_ORIGIN["repo"].astext, Source.name),
            func.coalesce(Snippet.path, _OWN_ORIGIN["path"].astext),
            func.coalesce(Snippet.sha, _OWN_ORIGIN["sha"].astext),
            func.coalesce(Snippet.url, _OWN_ORIGIN["url"].astext),
            func.coalesce(Snippet.license, ImportedRecord.license),
            func.coalesce(Snippet.content_hash, _OWN_ORIGIN["snippet_hash"].astext),
        )
        .join(Revision, Revision.instance_id == Instance.id)
        .outerjoin(Snippet, Snippet.id == Instance.snippet_id)
        .outerjoin(ImportedRecord, ImportedRecord.instance_id == Instance.id)
        .outerjoin(Source, _is_set_of_instance())
        .where(or_(*(_is_revision(*one) for one in wanted.items())))
    )


def _shown_exemplars() -> CompoundSelect[int | None]:
    """Exemplars that some call really saw. Not correlated, so that Postgres hashes it once."""
    good = select(Call.good_exemplar_id).where(Call.good_exemplar_id.is_not(None))
    bad = select(Call.bad_exemplar_id).where(Call.bad_exemplar_id.is_not(None))
    return good.union(bad)


def _is_revision(instance_id: int, number: int) -> ColumnElement[bool]:
    return and_(Revision.instance_id == instance_id, Revision.number == number)


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
                select(func.sum(Call.cost_micro)).where(Call.source_id == func.any(chosen_ids))
            ).one()
            or 0
        ),
        exemplars=session.scalars(
            select(func.count(func.distinct(Exemplar.instance_id))).where(
                Exemplar.instance_id == func.any(chosen_ids), Exemplar.id.in_(_shown_exemplars())
            )
        ).one(),
    )


def _counts(session: Session, column: Any, *conditions: ColumnElement[bool]) -> dict[str, int]:
    statement = select(column, func.count()).where(*conditions).group_by(column).order_by(column)
    return {str(value): rows for value, rows in session.execute(statement)}


def _one(session: Session, what: ColumnElement[int], project_id: int) -> int:
    standing = (
        Decision.project_id == project_id,
        Decision.undone_at.is_(None),
        Decision.action != Action.SKIP,
    )
    return session.scalars(select(what).select_from(Decision).where(*standing)).one()


def _templates(session: Session, chosen_ids: Sequence[int]) -> list[tuple[str, str]]:
    used = select(Call.template_hash).where(Call.source_id == func.any(chosen_ids))
    ruled = select(VerdictRow.rules_hash).where(VerdictRow.instance_id == func.any(chosen_ids))
    statement = (
        select(Template.name, Template.content_hash)
        .where(Template.content_hash.in_(used.union(ruled)))
        .order_by(Template.name, Template.content_hash)
    )
    return [(name, content_hash) for name, content_hash in session.execute(statement)]


def _is_set_of_instance() -> ColumnElement[bool]:
    return and_(ImportedRecord.instance_id.is_not(None), Source.run_id == Instance.run_id)


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
            func.concat_ws(", ", func.concat("imported: ", Source.name), _OWN_ORIGIN["repo"].astext).label(
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
