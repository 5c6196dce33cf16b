"""What runs render from, fixed so that a switch or a new version of the product changes only later runs. Touches the tables."""

from collections import OrderedDict
from collections.abc import Iterable

from sqlalchemy import literal, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.prompting.template import Template
from app.storage.bank import keep_templates
from app.storage.tables import PromptInForce, Run, RunTemplate
from app.storage.tables import Template as TemplateRow

_KEPT = 256


def freeze_in_force(session: Session, run: Run, shipped: Iterable[Template] = ()) -> None:
    """At its start: the run renders from what is in force in its project now, and from `shipped` where nothing is.

    What it has fixed already stays; what another stage ships is fixed when that stage first asks for it.
    """
    in_force = select(literal(run.id), PromptInForce.name, PromptInForce.content_hash).where(
        PromptInForce.project_id == run.project_id
    )
    statement = postgresql.insert(RunTemplate).from_select(["run_id", "name", "content_hash"], in_force)
    session.execute(statement.on_conflict_do_nothing())
    freeze(session, run.id, shipped)


def freeze(session: Session, run_id: int, templates: Iterable[Template]) -> None:
    """Fix what the run has not fixed yet; what it has stays as it is.

    Always in one order: two workers that start on the same run must not wait for each other.
    """
    templates = sorted(templates, key=lambda one: one.name)
    if not templates:
        return
    keep_templates(session, templates)
    rows = [{"run_id": run_id, "name": one.name, "content_hash": one.content_hash} for one in templates]
    session.execute(postgresql.insert(RunTemplate).values(rows).on_conflict_do_nothing())


class Frozen:
    """The templates of runs, by what their stage ships. What it has read it keeps: what a run has fixed never changes."""

    def __init__(self, shipped: Iterable[Template]) -> None:
        self._shipped = {template.name: template for template in shipped}
        self._kept: OrderedDict[tuple[int, str], Template] = OrderedDict()

    def template(self, session: Session, run_id: int, name: str) -> Template:
        """What the run renders from under `name`. A run that has fixed nothing there fixes all that is shipped."""
        key = (run_id, name)
        if key in self._kept:
            return self._kept[key]
        found = _fixed(session, run_id, name)
        if found is None:  # not kept in memory: this transaction may still be rolled back
            freeze(session, run_id, self._shipped.values())
            return _fixed(session, run_id, name) or self._shipped[name]
        self._kept[key] = found
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def looked_up(self, session: Session, run_id: int, name: str) -> Template:
        """The same, of a run that is over: it fixes nothing any more."""
        return _fixed(session, run_id, name) or self._shipped[name]


def _fixed(session: Session, run_id: int, name: str) -> Template | None:
    row = session.execute(
        select(RunTemplate.name, TemplateRow.version, TemplateRow.content, TemplateRow.content_hash)
        .join(TemplateRow, TemplateRow.content_hash == RunTemplate.content_hash)
        .where(RunTemplate.run_id == run_id, RunTemplate.name == name)
    ).one_or_none()
    return None if row is None else Template(*row)
