"""Which instances a filter lets through, and the lists of them. Touches the tables, reading only."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select, text, union
from sqlalchemy.orm import Session

from app.pipeline import Stream
from app.review.blind import blind_rows
from app.review.shapes import InstanceRow
from app.storage.searching import contains
from app.storage.tables import Decision, Instance, Snippet

MOST_COUNTED = 10_000  # a count that people only glance at stops here
MOST_COUNTED_WITH_A_WORD = 1_000  # each is looked at for the word


class Filters(NamedTuple):
    """Which instances are meant. Empty values let everything through; `q` is looked for in texts and names."""

    status: str | None = None
    task: str | None = None
    language: str | None = None
    verdict: str | None = None
    q: str | None = None
    reason: str | None = None  # that somebody gave in the work stream for a decision that stands


_TEXTS = (Instance.instruction, Instance.task_name)
_TEXTS_OF_SNIPPET = (Snippet.path, Snippet.name, Snippet.comment)


def matching(filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions on Instance, and on Snippet where there is a `q`: for a walk along the queue, row by row."""
    conditions: list[ColumnElement[bool]] = [
        getattr(Instance, column) == value
        for column, value in filters._asdict().items()
        if value and column not in ("q", "reason")
    ]
    if filters.reason:
        given = select(Decision.instance_id).where(
            Decision.project_id == Instance.project_id,
            Decision.stream == Stream.WORK,
            Decision.reason == filters.reason,
            Decision.undone_at.is_(None),
        )
        conditions.append(Instance.id.in_(given))
    if filters.q:
        conditions.append(contains(filters.q, *_TEXTS, *_TEXTS_OF_SNIPPET))
    return conditions


def ids_matching(
    session: Session,
    project_id: int,
    filters: Filters,
    *,
    after: int = 0,
    limit: int | None = None,
    without: Sequence[int] = (),
) -> Select[int]:
    """The numbers of the instances that match; with a limit the lowest after `after`, in order. `without`: not these.

    A text is looked for on two sides, the instance's and its snippet's, each with its own index: an OR over the
    join of both could use neither. A limit holds for each side first, so that a word that is everywhere is
    found along the numbers and a rare one by its trigrams, as Postgres thinks best.
    """
    plain = select(Instance.id).where(
        Instance.project_id == project_id, *matching(filters._replace(q=None)), Instance.id > after
    )
    if without:
        plain = plain.where(Instance.id.not_in(without))
    if not filters.q:
        return plain if limit is None else plain.order_by(Instance.id).limit(limit)
    _plan_anew(session)
    sides = (
        plain.where(contains(filters.q, *_TEXTS)),
        plain.join(Snippet, Snippet.id == Instance.snippet_id).where(contains(filters.q, *_TEXTS_OF_SNIPPET)),
    )
    if limit is not None:
        sides = tuple(side.order_by(Instance.id).limit(limit) for side in sides)
    found = union(*(select(side.subquery().c.id) for side in sides)).subquery()
    either = select(found.c.id)
    return either if limit is None else either.order_by(found.c.id).limit(limit)


def _plan_anew(session: Session) -> None:
    """Have Postgres look at the word each time: the plan for a rare one takes seconds for one that is everywhere.

    psycopg prepares what is asked often, and Postgres then keeps one plan for all words.
    """
    session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


def instance_rows(
    session: Session,
    project_id: int,
    filters: Filters,
    *,
    after: int,
    limit: int,
    blind: Sequence[int] = (),
) -> list[InstanceRow]:
    """Instances of a project by number, later than `after`. Light: no information, no solution.

    `blind`: what the person who looks is to read for an audit. It comes without what was said about it, and where
    one filters by that it does not come.
    """
    ids = ids_matching(
        session, project_id, filters, after=after, limit=limit, without=_untold(filters, blind)
    )
    return blind_rows(rows_of(session, ids), blind)


def _untold(filters: Filters, blind: Sequence[int]) -> Sequence[int]:
    """Which of these a filter would tell something about."""
    return blind if filters.status or filters.verdict or filters.reason else ()


def rows_of(session: Session, ids: Select[int]) -> list[InstanceRow]:
    """The instances with these numbers, in order."""
    where = func.concat_ws(" ", Snippet.path, Snippet.name)
    columns: Sequence[Any] = (
        Instance.id,
        Instance.status,
        Instance.task,
        Instance.language,
        Instance.verdict,
        Instance.contradictory,
        Instance.task_name,
        Instance.instruction,
        where.label("snippet"),
        Instance.revision,
        Instance.created_at,
    )
    query = (
        select(*columns)
        .outerjoin(Snippet, Snippet.id == Instance.snippet_id)
        .where(Instance.id.in_(ids))
        .order_by(Instance.id)
    )
    return [InstanceRow.model_validate(row) for row in session.execute(query)]


class Counted(NamedTuple):
    """Exact, or only that there are more."""

    rows: int
    are_more: bool


def count_of(session: Session, project_id: int, filters: Filters, blind: Sequence[int] = ()) -> Counted:
    """How many instances match, counted up to a bound. `blind`: as for `instance_rows`."""
    without = _untold(filters, blind)
    most = MOST_COUNTED_WITH_A_WORD if filters.q else MOST_COUNTED
    if filters.q:
        found = ids_matching(session, project_id, filters, limit=most + 1, without=without)
    else:  # any of them will do: in order, Postgres walks past all that do not match
        found = ids_matching(session, project_id, filters, without=without).limit(most + 1)
    some = found.subquery()
    rows = session.scalar(select(func.count()).select_from(some)) or 0
    return Counted(min(rows, most), rows > most)
