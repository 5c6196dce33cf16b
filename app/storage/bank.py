"""What both stages that ask a model read and keep: replies, the frozen cases of a run, and templates."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.prompting.exemplars import Case, Drawn, Listed
from app.prompting.prompt import Reply
from app.prompting.template import Template as TemplateText
from app.storage.tables import Call, Exemplar, RunExemplar, Template

_KEPT_SNAPSHOTS = 64
_KEPT_CASES = 1024


class Bank:
    """The cases that prompts show. What it has read it keeps: a run's snapshot is frozen, a case never changes."""

    def __init__(self) -> None:
        self._snapshots: OrderedDict[tuple[int, str], list[Listed]] = OrderedDict()
        self._cases: OrderedDict[int, Case] = OrderedDict()

    def snapshot(self, session: Session, run_id: int, task: str) -> Sequence[Listed]:
        """The cases of `task` that were frozen when the run started."""
        key = (run_id, task)
        if key not in self._snapshots:
            statement = (
                select(Exemplar.id, Exemplar.task, Exemplar.language, Exemplar.is_good)
                .join(RunExemplar, RunExemplar.exemplar_id == Exemplar.id)
                .where(RunExemplar.run_id == run_id, Exemplar.task == task)
            )
            self._snapshots[key] = [Listed(*row) for row in session.execute(statement)]
            _forget_oldest(self._snapshots, _KEPT_SNAPSHOTS)
        return self._snapshots[key]

    def cases(self, session: Session, drawn: Collection[Drawn]) -> Mapping[int, Case]:
        """The texts of all the cases that were drawn, by id; read in one query."""
        wanted = {case_id for one in drawn for case_id in one if case_id is not None}
        unread = wanted - self._cases.keys()
        rows = session.scalars(select(Exemplar).where(Exemplar.id.in_(unread))) if unread else ()
        for row in rows:
            self._cases[row.id] = Case(
                row.instruction, row.information, row.solution, row.is_good, row.analysis
            )
        found = {case_id: self._cases[case_id] for case_id in wanted if case_id in self._cases}
        _forget_oldest(self._cases, _KEPT_CASES)
        return found


def reply_of(call: Call) -> Reply:
    """What came back, as it was kept."""
    return Reply(call.reply or "", call.finish_reason or "", call.refusal)


def template_content(session: Session, content_hash: str) -> str:
    """Raises NotFound: no call of this database was made from such a template."""
    content = session.scalar(select(Template.content).where(Template.content_hash == content_hash))
    if content is None:
        raise NotFound(f"the template {content_hash[:12]} of this call is not kept")
    return content


def keep_templates(session: Session, templates: Iterable[TemplateText]) -> None:
    """From their first use, templates and rule sets stand in the database under their hash."""
    rows = {template.content_hash: template._asdict() for template in templates}
    known = session.scalars(select(Template.content_hash).where(Template.content_hash.in_(rows)))
    missing = [rows[content_hash] for content_hash in sorted(rows.keys() - set(known))]
    if missing:
        session.execute(postgresql.insert(Template).values(missing).on_conflict_do_nothing())


def _forget_oldest(kept: OrderedDict[Any, Any], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
