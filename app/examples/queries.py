"""Cases of the example bank for people to look at. Touches the tables, reading only."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.pipeline import UNFINISHED_RUNS, Standing
from app.storage.lots import read_blind_by
from app.storage.searching import contains
from app.storage.tables import Call, Exemplar, ExemplarStanding, Person, Run, RunExemplar


class Filters(NamedTuple):
    """Empty values let everything through; `q` is looked for in all texts of a case."""

    task: str = ""
    language: str = ""
    side: str = ""  # good or bad
    origin: str = ""  # person, judge or shipped
    standing: str = ""
    q: str = ""


class Listed(NamedTuple):
    """A case and what the project's people have said about it."""

    case: Exemplar
    standing: Standing
    note: str
    person: str | None


class Shown(NamedTuple):
    """Where models have seen a case: calls, the newest runs that may draw it, how many do so and are not over."""

    calls: int
    runs: int
    newest_runs: Sequence[int]
    unfinished: int


class Kind(NamedTuple):
    """How many cases of a kind a run could draw from, by whose they are."""

    task: str
    language: str
    is_good: bool
    person: int
    judge: int
    shipped: int
    pinned: int
    retired: int


_STANDING: ColumnElement[str] = func.coalesce(ExemplarStanding.standing, literal(Standing.USUAL.value))


def _cases(project_id: int, person_id: int) -> Select[Exemplar, str, str, str]:
    """Of the project and the shipped ones, but what the person is reading blind for an audit."""
    return (
        select(Exemplar, _STANDING, func.coalesce(ExemplarStanding.note, ""), Person.name)
        .outerjoin(ExemplarStanding, _of_project(project_id))
        .outerjoin(Person, Person.id == ExemplarStanding.person_id)
        .where(_seen_in(project_id), ~read_blind_by(person_id, Exemplar.instance_id))
    )


def _of_project(project_id: int) -> ColumnElement[bool]:
    return and_(ExemplarStanding.exemplar_id == Exemplar.id, ExemplarStanding.project_id == project_id)


def _seen_in(project_id: int) -> ColumnElement[bool]:
    return or_(Exemplar.project_id.is_(None), Exemplar.project_id == project_id)


def listed(
    session: Session, project_id: int, person_id: int, filters: Filters, *, before: int | None, limit: int
) -> list[Listed]:
    """The newest first, older than `before`."""
    query = _cases(project_id, person_id).where(*_matching(filters))
    if before is not None:
        query = query.where(Exemplar.id < before)
    rows = session.execute(query.order_by(Exemplar.id.desc()).limit(limit))
    return [Listed(row, Standing(standing), note, person) for row, standing, note, person in rows]


def _matching(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        getattr(Exemplar, name) == value
        for name, value in filters._asdict().items()
        if value and name in ("task", "language", "origin")
    ]
    if filters.side:
        conditions.append(Exemplar.is_good.is_(filters.side == "good"))
    if filters.standing:
        conditions.append(_STANDING.in_((filters.standing,)))
    if filters.q:
        texts = (Exemplar.instruction, Exemplar.information, Exemplar.solution, Exemplar.analysis)
        conditions.append(contains(filters.q, *texts))
    return conditions


def one(session: Session, project_id: int, person_id: int, exemplar_id: int) -> Listed:
    """Raises NotFound, also for a case of another project and for one that the person reads blind."""
    row = session.execute(_cases(project_id, person_id).where(Exemplar.id == exemplar_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no example {exemplar_id} in this project")
    found, standing, note, person = row
    return Listed(found, Standing(standing), note, person)


def shown(session: Session, project_id: int, exemplar_id: int, most: int = 10) -> Shown:
    of_project = select(Run.id).where(Run.project_id == project_id)
    calls = session.scalar(
        select(func.count())
        .select_from(Call)
        .where(
            or_(Call.good_exemplar_id == exemplar_id, Call.bad_exemplar_id == exemplar_id),
            Call.run_id.in_(of_project),
        )
    )
    frozen = (
        select(Run.id, Run.state)
        .join(RunExemplar, RunExemplar.run_id == Run.id)
        .where(RunExemplar.exemplar_id == exemplar_id, Run.project_id == project_id)
        .order_by(Run.id.desc())
    )
    runs = session.execute(frozen).all()
    return Shown(
        calls or 0,
        len(runs),
        [run_id for run_id, _ in runs[:most]],
        sum(1 for _, state in runs if state in UNFINISHED_RUNS),
    )


def kinds(session: Session, project_id: int) -> list[Kind]:
    """Of the whole bank: what is retired is counted apart."""
    standing_in = _STANDING != Standing.RETIRED
    counted = [
        func.count().filter(Exemplar.origin == origin, standing_in)
        for origin in ("person", "judge", "shipped")
    ]
    by = (Exemplar.task, Exemplar.language, Exemplar.is_good)
    in_order = case((Exemplar.is_good, 0), else_=1)
    query = (
        select(
            *by,
            *counted,
            func.count().filter(_STANDING == Standing.PINNED),
            func.count().filter(_STANDING == Standing.RETIRED),
        )
        .outerjoin(ExemplarStanding, _of_project(project_id))
        .where(_seen_in(project_id))
        .group_by(*by)
        .order_by(Exemplar.task, Exemplar.language, in_order)
    )
    return [Kind(*row) for row in session.execute(query)]
