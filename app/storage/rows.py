"""What both releases and audits are made of: candidates for the gates, and the rows of chosen revisions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, TableValuedAlias, exists, func, literal, or_, select
from sqlalchemy.orm import Session

from app.pipeline import Action, Finding, InstanceStatus, Stream, Verdict
from app.rows.codeocean import Admitted
from app.rows.gates import Candidate
from app.storage.decided import has_served, shown_cases
from app.storage.tables import (
    Decision,
    Evidence,
    Exemplar,
    ImportedRecord,
    Instance,
    Revision,
    Snippet,
    Source,
)

_AT_A_TIME = 1000

# Where an imported row says it comes from; null, and with it everything in it, where it says nothing.
OWN_ORIGIN = ImportedRecord.kept["source"]
# An imported row that names no repository stands for itself: a set as a whole must not be one side of a split.
_SIDE = func.coalesce(Snippet.repo, OWN_ORIGIN["repo"].astext, func.concat("imported ", Instance.id))
_LICENSE = func.coalesce(Snippet.license, ImportedRecord.license)


class Chosen(NamedTuple):
    """A text of an instance."""

    instance_id: int
    revision: int


def candidates(
    session: Session, project_id: int, statuses: Sequence[InstanceStatus], filters: Mapping[str, Any]
) -> Iterator[Candidate]:
    """Instances in one of `statuses` that the filters admit, by number, as they stand now; no texts but hashes.

    `filters` may hold tasks, languages and runs (numbers); what is not there filters nothing.
    """
    text_hash = func.md5(
        func.concat_ws("\x1f", Instance.task, Instance.instruction, Instance.information, Instance.solution)
    )
    suspicious = or_(
        Instance.verdict.in_((Verdict.FAIL, Verdict.INVALID)), Instance.contradictory, _failed_evidence()
    )
    statement = (
        select(
            Instance.id,
            Instance.revision,
            text_hash,
            _LICENSE,
            _SIDE,
            _failed_evidence("parses"),
            Instance.snippet_id.is_not(None),
            has_served(),
            func.coalesce(suspicious, literal(False)),
        )
        .outerjoin(Snippet, Snippet.id == Instance.snippet_id)
        .outerjoin(ImportedRecord, ImportedRecord.instance_id == Instance.id)
        .where(Instance.project_id == project_id, Instance.status.in_(statuses), *_admitted_by(filters))
        .order_by(Instance.id)
        .execution_options(yield_per=_AT_A_TIME)
    )
    for row in session.execute(statement):
        yield Candidate(*row)


def candidates_of(session: Session, chosen: Sequence[Chosen]) -> list[Candidate]:
    """The chosen revisions, in the order of `chosen`, with what splits look at; no gate has looked at them."""
    found: dict[int, Candidate] = {}
    for start in range(0, len(chosen), _AT_A_TIME):
        wanted = _unnested(chosen[start : start + _AT_A_TIME])
        text_hash = func.md5(func.concat_ws("\x1f", Instance.task, *_texts_of_revision()))
        statement = _of_revisions(
            select(
                Instance.id,
                wanted.c.revision,
                text_hash,
                _LICENSE,
                _SIDE,
                literal(False),
            ),
            wanted,
        )
        found |= {row[0]: Candidate(*row) for row in session.execute(statement)}
    return [found[one.instance_id] for one in chosen]


def admitted_rows(session: Session, chosen: Sequence[Chosen | Candidate]) -> Iterator[Admitted]:
    """The rows of the chosen revisions, in the order of `chosen`. Revisions never change."""
    served = served_as_exemplars(session, [one.instance_id for one in chosen])
    for start in range(0, len(chosen), _AT_A_TIME):
        batch = chosen[start : start + _AT_A_TIME]
        found = {row[0]: Admitted(*row) for row in session.execute(_texts(batch))}
        for one in batch:
            row = found[one.instance_id]
            yield row._replace(served_as_exemplar=True) if one.instance_id in served else row


def served_as_exemplars(session: Session, instance_ids: Sequence[int]) -> frozenset[int]:
    """Those of the instances that some call showed to a model."""
    shown = select(Exemplar.instance_id).where(
        Exemplar.instance_id == func.any(instance_ids), Exemplar.id.in_(shown_cases())
    )
    return frozenset(number for number in session.scalars(shown) if number is not None)


def _admitted_by(filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    columns = {"tasks": Instance.task, "languages": Instance.language, "runs": Instance.run_id}
    return [column.in_(filters[name]) for name, column in columns.items() if filters.get(name)]


def _failed_evidence(kind: str | None = None) -> ColumnElement[bool]:
    """Whether a check of the current revision failed: this one, or any."""
    failed = exists().where(
        Evidence.instance_id == Instance.id,
        Evidence.revision == Instance.revision,
        Evidence.result == Finding.FAIL,
    )
    return failed if kind is None else failed.where(Evidence.kind == kind)


def _texts(batch: Sequence[Chosen | Candidate]) -> Select[*tuple[Any, ...]]:
    """In the order of `Admitted`."""
    wanted = _unnested(batch)
    people_said = (
        select(Decision.action)
        .where(
            Decision.instance_id == Instance.id,
            Decision.stream == Stream.WORK,
            Decision.action.in_((Action.ACCEPT, Action.EDIT)),
            Decision.undone_at.is_(None),
        )
        .order_by(Decision.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return _of_revisions(
        select(
            Instance.id,
            Instance.task,
            Instance.task_name,
            *_texts_of_revision(),
            Instance.language,
            Instance.target_language,
            wanted.c.revision,
            Instance.generator,
            Instance.discriminator,
            func.coalesce(people_said, Action.ACCEPT.value),
            literal(False),
            func.coalesce(Snippet.repo, OWN_ORIGIN["repo"].astext, Source.name),
            func.coalesce(Snippet.path, OWN_ORIGIN["path"].astext),
            func.coalesce(Snippet.sha, OWN_ORIGIN["sha"].astext),
            func.coalesce(Snippet.url, OWN_ORIGIN["url"].astext),
            _LICENSE,
            func.coalesce(Snippet.content_hash, OWN_ORIGIN["snippet_hash"].astext),
        ),
        wanted,
    )


def _unnested(chosen: Sequence[Chosen | Candidate]) -> TableValuedAlias:
    return (
        func.unnest([one.instance_id for one in chosen], [one.revision for one in chosen])
        .table_valued("instance_id", "revision")
        .render_derived()
    )


def _texts_of_revision() -> tuple[ColumnElement[str], ...]:
    """An instance without revisions was never changed: its own text is the one."""
    return (
        func.coalesce(Revision.instruction, Instance.instruction),
        func.coalesce(Revision.information, Instance.information),
        func.coalesce(Revision.solution, Instance.solution),
    )


def _of_revisions(statement: Select[*tuple[Any, ...]], wanted: TableValuedAlias) -> Select[*tuple[Any, ...]]:
    """For columns of `wanted`, instances, their revisions and snippets, or the sets they came with."""
    return (
        statement.select_from(wanted)
        .join(Instance, Instance.id == wanted.c.instance_id)
        .outerjoin(Revision, (Revision.instance_id == Instance.id) & (Revision.number == wanted.c.revision))
        .outerjoin(Snippet, Snippet.id == Instance.snippet_id)
        .outerjoin(ImportedRecord, ImportedRecord.instance_id == Instance.id)
        .outerjoin(Source, ImportedRecord.instance_id.is_not(None) & (Source.run_id == Instance.run_id))
    )
