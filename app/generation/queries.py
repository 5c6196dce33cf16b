"""What generation reads and writes: material, the frozen snapshot of cases, instances."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, case, exists, func, insert, literal, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from app.generation.parsing import Written, parsed
from app.generation.plan import Material as Picked
from app.generation.plan import Planned
from app.generation.prompts import Material
from app.generation.shipped.cases import CASES
from app.generation.snapshot import CASES_OF_A_KIND, Candidate, Origin, chosen
from app.pipeline import InstanceStatus, RunState, Standing, Task
from app.prompting.exemplars import Listed, exemplar_of, text_hash
from app.prompting.reading import how_read
from app.storage.bank import reply_of
from app.storage.tables import (
    Call,
    Exemplar,
    ExemplarStanding,
    Instance,
    Pick,
    Revision,
    Run,
    RunExemplar,
    Selection,
    SentBack,
    Snippet,
)

_MOST_LOOKED_AT = 2 * CASES_OF_A_KIND  # of one kind and origin: their texts are read when a run starts
_LONGEST_CASE = 6000  # characters; a longer one would crowd the question out of a prompt


class Sizes(NamedTuple):
    """Mean lengths in bytes of what a selection's picks hold."""

    code: float
    comment: float


# --- before a run -----------------------------------------------------------------------------------------


def newest_completed_selection(session: Session, project_id: int) -> Selection | None:
    return session.scalars(_completed_selections(project_id).limit(1)).first()


def completed_selections(session: Session, project_id: int) -> Sequence[Selection]:
    """Newest first."""
    return session.scalars(_completed_selections(project_id).limit(50)).all()


def completed_selection(session: Session, project_id: int, selection_id: int) -> Selection | None:
    return session.scalars(_completed_selections(project_id).where(Selection.id == selection_id)).first()


def _completed_selections(project_id: int) -> Select[Selection]:
    return (
        select(Selection)
        .join(Run, Run.id == Selection.run_id)
        .where(
            Selection.project_id == project_id,
            Run.state == RunState.COMPLETED,
            exists().where(Pick.selection_id == Selection.id),
        )
        .order_by(Selection.id.desc())
    )


def picks_in_order(session: Session, selection_id: int) -> list[Picked]:
    """By rank, the first pick first."""
    statement = (
        select(Pick.id, Pick.snippet_id, Snippet.language)
        .join(Snippet, Snippet.id == Pick.snippet_id)
        .where(Pick.selection_id == selection_id)
        .order_by(Pick.rank)
    )
    return [Picked(*row) for row in session.execute(statement)]


def languages_of(session: Session, selection_id: int) -> Sequence[str]:
    """The languages that a selection's picks are in."""
    statement = (
        select(Snippet.language)
        .distinct()
        .join(Pick, Pick.snippet_id == Snippet.id)
        .where(Pick.selection_id == selection_id)
        .order_by(Snippet.language)
    )
    return session.scalars(statement).all()


def mean_sizes(session: Session, selection_id: int) -> Sizes:
    statement = (
        select(func.avg(func.octet_length(Snippet.code)), func.avg(func.octet_length(Snippet.comment)))
        .join(Pick, Pick.snippet_id == Snippet.id)
        .where(Pick.selection_id == selection_id)
    )
    code, comment = session.execute(statement).one()
    return Sizes(float(code or 0), float(comment or 0))


# --- the bank's snapshot ----------------------------------------------------------------------------------


def keep_shipped_cases(session: Session) -> None:
    """Put the shipped cases into the bank; those that are there stay as they are."""
    rows = [
        {**exemplar_of(shipped.task, shipped.language, shipped.case), "origin": "shipped"}
        for shipped in CASES
    ]
    session.execute(postgresql.insert(Exemplar).values(rows).on_conflict_do_nothing())


def freeze_snapshot(session: Session, run: Run, tasks: Iterable[Task], seed: int) -> None:
    """Fix which cases `run` may draw."""
    ids = chosen(_candidates(session, run.project_id, tasks, seed), seed)
    if ids:
        rows = [{"run_id": run.id, "exemplar_id": exemplar_id} for exemplar_id in ids]
        session.execute(insert(RunExemplar), rows)


def cases_now(session: Session, project_id: int, task: Task, seed: int) -> list[Listed]:
    """What a run that started now could draw for `task`."""
    ids = set(chosen(found := _candidates(session, project_id, [task], seed), seed))
    return [
        Listed(one.exemplar_id, one.task, one.language, one.is_good)
        for one in found
        if one.exemplar_id in ids
    ]


def _candidates(session: Session, project_id: int, tasks: Iterable[Task], seed: int) -> list[Candidate]:
    """What may come into a snapshot. Of a large bank so many of each kind and origin are drawn by `seed`."""
    standing = ExemplarStanding.standing
    origin = case(
        (standing == Standing.PINNED, Origin.PINNED),
        (Exemplar.origin == "person", Origin.PERSON),
        (Exemplar.origin == "judge", Origin.JUDGE),
        else_=Origin.SHIPPED,
    )
    kind = (Exemplar.task, Exemplar.language, Exemplar.is_good, origin)
    lottery = func.md5(func.concat(literal(str(seed)), Exemplar.content_hash))
    texts = func.concat_ws("\n", Exemplar.instruction, Exemplar.information, Exemplar.solution)
    ranked = (
        select(
            Exemplar.id,
            Exemplar.task,
            Exemplar.language,
            Exemplar.is_good,
            origin.label("origin"),
            texts.label("text"),
            func.row_number().over(partition_by=kind, order_by=lottery).label("place"),
        )
        .outerjoin(
            ExemplarStanding,
            and_(ExemplarStanding.exemplar_id == Exemplar.id, ExemplarStanding.project_id == project_id),
        )
        .where(
            Exemplar.task.in_(list(tasks)),
            Exemplar.project_id.is_(None) | (Exemplar.project_id == project_id),
            standing.is_distinct_from(Standing.RETIRED),
            func.length(texts) + func.length(Exemplar.analysis) <= _LONGEST_CASE,
        )
        .subquery()
    )
    columns = [ranked.c[name] for name in ("id", "task", "language", "is_good", "origin", "text")]
    rows = session.execute(select(*columns).where(ranked.c.place <= _MOST_LOOKED_AT))
    return [
        Candidate(row.id, row.task, row.language, row.is_good, Origin(row.origin), row.text) for row in rows
    ]


# --- instances ------------------------------------------------------------------------------------------


def add_planned(session: Session, run: Run, planned: Sequence[Planned]) -> Sequence[int]:
    """Insert the instances of a run, without text, as one statement. Returns their ids in the order of the plan."""
    columns = [Instance.__table__.c[name] for name in Planned._fields]
    values = [
        literal(list(column_values), ARRAY(column.type))
        for column, column_values in zip(columns, zip(*planned, strict=True), strict=True)
    ]
    plan = func.unnest(*values).table_valued(*Planned._fields, with_ordinality="place").render_derived()
    shared = {
        "project_id": run.project_id,
        "run_id": run.id,
        "status": str(InstanceStatus.GENERATING),
        "generator": run.params["generator"],
        "discriminator": run.params["discriminator"],
    }
    rows = select(
        *(plan.c[name] for name in Planned._fields), *(literal(value) for value in shared.values())
    ).order_by(plan.c.place)
    statement = insert(Instance).from_select([*Planned._fields, *shared], rows).returning(Instance.id)
    return session.scalars(statement).all()


def asked_about(session: Session, instance_ids: Collection[int]) -> Iterable[tuple[Instance, Snippet, Run]]:
    """Instances with the snippets and the runs that their questions are made from, in one query."""
    statement = (
        select(Instance, Snippet, Run)
        .join(Snippet, Snippet.id == Instance.snippet_id)
        .join(Run, Run.id == Instance.run_id)
        .where(Instance.id.in_(instance_ids))
    )
    return session.execute(statement)


def instances(session: Session, instance_ids: Collection[int]) -> dict[int, Instance]:
    found = session.scalars(select(Instance).where(Instance.id.in_(instance_ids)))
    return {instance.id: instance for instance in found}


def material_of(instance: Instance, snippet: Snippet) -> Material:
    """What the question about `instance` is made from."""
    return Material(
        task=Task(instance.task),
        language=snippet.language,
        code=snippet.code,
        comment=snippet.comment,
        content_hash=snippet.content_hash,
        target_language=instance.target_language,
        bug=instance.bug,
        candidate=instance.candidate,
        granularity=instance.granularity,
    )


def snippets_of(session: Session, pick_ids: Collection[int]) -> dict[int, Snippet]:
    """The raw code of picks, by pick."""
    rows = session.execute(
        select(Pick.id, Snippet).join(Snippet, Snippet.id == Pick.snippet_id).where(Pick.id.in_(pick_ids))
    )
    return {pick_id: snippet for pick_id, snippet in rows}


def first_picks(session: Session, selection_id: int, most: int) -> list[tuple[Pick, Snippet]]:
    """By rank."""
    query = (
        select(Pick, Snippet)
        .join(Snippet, Snippet.id == Pick.snippet_id)
        .where(Pick.selection_id == selection_id)
        .order_by(Pick.rank)
        .limit(most)
    )
    return [(pick, snippet) for pick, snippet in session.execute(query)]


def read_text(instance: Instance, call: Call) -> Written:
    """What the reply says; how it was read is noted on the call. Raises Unparsable."""
    text, marks = parsed(reply_of(call), Task(instance.task), instance.language)
    call.error_code, call.error_detail = how_read(marks)
    return text


def sent_back(session: Session, instance_ids: Collection[int]) -> dict[int, SentBack]:
    """The first texts of instances that went back, by instance."""
    rows = session.scalars(select(SentBack).where(SentBack.instance_id.in_(instance_ids)))
    return {row.instance_id: row for row in rows}


def keep_texts(session: Session, texts: Iterable[tuple[Instance, Written]]) -> None:
    """Write the four keys to each instance and keep them as revision 0, the model's own.

    A text that was read before from the same reply, in another way, is replaced.
    """
    rows: list[dict[str, Any]] = []
    for instance, text in texts:
        instance.task_name, instance.instruction, instance.information, instance.solution = text
        instance.text_hash = text_hash(instance.task, *text[1:])
        fields = {key: getattr(text, key) for key in ("instruction", "information", "solution")}
        rows.append({"instance_id": instance.id, "number": 0, **fields})
    session.flush()
    if rows:
        statement = postgresql.insert(Revision)
        replaced = {key: statement.excluded[key] for key in ("instruction", "information", "solution")}
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[Revision.instance_id, Revision.number], set_=replaced
            ),
            rows,
        )
