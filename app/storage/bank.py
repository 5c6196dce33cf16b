"""What both stages that ask a model read and keep: the frozen cases of a run, and templates."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.prompting.exemplars import Case, Drawn, Listed
from app.prompting.template import Template as TemplateText
from app.storage.tables import Exemplar, RunExemplar, Template


def snapshot_of(session: Session, run_id: int, task: str) -> list[Listed]:
    """The cases of `task` that were frozen when the run started."""
    statement = (
        select(Exemplar.id, Exemplar.task, Exemplar.language, Exemplar.is_good)
        .join(RunExemplar, RunExemplar.exemplar_id == Exemplar.id)
        .where(RunExemplar.run_id == run_id, Exemplar.task == task)
    )
    return [Listed(*row) for row in session.execute(statement)]


def cases_of(session: Session, drawn: Drawn) -> tuple[Case | None, Case | None]:
    """The good and the bad case that were drawn, with their texts."""
    good, bad = (_case(session, exemplar_id) for exemplar_id in drawn)
    return good, bad


def keep_templates(session: Session, templates: Iterable[TemplateText]) -> None:
    """From their first use, templates and rule sets stand in the database under their hash.

    A session that prepares many items asks once for each.
    """
    kept: set[str] = session.info.setdefault("templates_kept", set())
    rows = [template._asdict() for template in templates if template.content_hash not in kept]
    if rows:
        session.execute(postgresql.insert(Template).values(rows).on_conflict_do_nothing())
        kept.update(row["content_hash"] for row in rows)


def _case(session: Session, exemplar_id: int | None) -> Case | None:
    row = session.get(Exemplar, exemplar_id) if exemplar_id is not None else None
    if row is None:
        return None
    return Case(row.instruction, row.information, row.solution, row.is_good, row.analysis)
