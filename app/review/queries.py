"""What a reader sees of one instance. Touches the tables, reading only. The queue: `work_queue`; lists: `filters`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    func,
    select,
)
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.pipeline import Stage
from app.prompting.reading import REPAIRED
from app.review.decision_queries import revision_left_by
from app.review.judgement import Text
from app.review.revisions import text_at, text_of_revision
from app.review.shapes import (
    EvidenceShape,
    RuleShape,
    SentBackShape,
    VerdictShape,
    WarningShape,
)
from app.review.warnings import RawCode, warnings_of
from app.storage.tables import (
    Call,
    Decision,
    Draft,
    Evidence,
    Instance,
    RuleAnswer,
    SentBack,
    Snippet,
    VerdictRow,
)

_INSTANCE = bindparam("instance_id", type_=BigInteger)
_PERSON = bindparam("person_id", type_=BigInteger)
_WRITING = (Stage.GENERATE, Stage.CORRECT)


def instance(session: Session, instance_id: int) -> Instance:
    """Raises NotFound."""
    found = session.get(Instance, instance_id)
    if found is None:
        raise NotFound(f"there is no instance {instance_id}")
    return found


def instance_in(session: Session, project_id: int, instance_id: int) -> Instance:
    """Raises NotFound, also for an instance of another project."""
    found = instance(session, instance_id)
    if found.project_id != project_id:
        raise NotFound(f"there is no instance {instance_id} in this project")
    return found


def _as_json(*columns: ColumnElement[Any], of: ColumnElement[bool], by: Sequence[Any]) -> Any:
    """Rows as one JSON list in one column, so that a card takes one query."""
    rows = select(*columns).where(of).correlate(VerdictRow).order_by(*by).subquery()
    return select(func.json_agg(func.row_to_json(rows.table_valued()))).scalar_subquery()


_NEWEST = select(func.max(VerdictRow.id)).where(VerdictRow.instance_id == _INSTANCE).scalar_subquery()
_KNOWN = (
    select(
        Snippet,
        VerdictRow,
        _as_json(
            *(getattr(RuleAnswer, name) for name in RuleShape.model_fields),
            of=RuleAnswer.verdict_id == _NEWEST,
            by=[RuleAnswer.id],
        ),
        _as_json(
            *(getattr(Evidence, name) for name in EvidenceShape.model_fields),
            of=Evidence.instance_id == _INSTANCE,
            by=[Evidence.revision, Evidence.kind],
        ),
        select(Call.error_code).where(Call.id == VerdictRow.call_id).scalar_subquery(),
        select(Call.error_code)
        .where(Call.source_id == _INSTANCE, Call.stage.in_(_WRITING), Call.usable.is_(True))
        .order_by(Call.id.desc())
        .limit(1)
        .scalar_subquery(),
        Draft,
        SentBack,
    )
    .select_from(Instance)
    .outerjoin(Snippet, Snippet.id == Instance.snippet_id)
    .outerjoin(VerdictRow, VerdictRow.id == _NEWEST)
    .outerjoin(SentBack, SentBack.instance_id == Instance.id)
    .outerjoin(Draft, and_(Draft.instance_id == Instance.id, Draft.person_id == _PERSON))
    .where(Instance.id == _INSTANCE)
)


class Known(NamedTuple):
    """What was found about an instance before a person reads it. Evidence goes by revision and kind.

    `is_mended`: its text was read from a broken reply. `draft`: the reader's own, not decided yet.
    """

    snippet: Snippet | None
    verdict: VerdictShape | None
    evidence: list[EvidenceShape]
    is_mended: bool
    draft: Draft | None
    sent_back: SentBackShape | None


def known(session: Session, instance_id: int, reader_id: int | None = None) -> Known:
    """The newest verdict comes with its rules: failed ones first, then passed, then unchecked."""
    found = session.execute(_KNOWN, {"instance_id": instance_id, "person_id": reader_id}).one()
    snippet, verdict, answers, evidence, verdict_read, text_read, draft, first = found
    order = {"no": 0, "yes": 1}
    rules = sorted(
        (RuleShape.model_validate(one) for one in answers or ()),  # an invalid verdict has none
        key=lambda rule: order.get(rule.answer, 2),
    )
    mended = {"mended": verdict_read == REPAIRED}
    shape = (
        VerdictShape.model_validate({**columns_of(verdict), "rules": rules, **mended}) if verdict else None
    )
    shapes = [EvidenceShape.model_validate(one) for one in evidence or ()]
    sent_back = SentBackShape.model_validate(columns_of(first)) if first else None
    return Known(snippet, shape, shapes, text_read == REPAIRED, draft, sent_back)


class Reading(NamedTuple):
    """What a reader sees of an instance. `model_text` is the machine's own where a person has changed it since."""

    instance: Instance
    text: Text
    model_text: Text | None
    snippet: Snippet | None
    verdict: VerdictShape | None
    evidence: list[EvidenceShape]
    is_mended: bool
    draft: Draft | None
    sent_back: SentBackShape | None

    @property
    def warnings(self) -> list[WarningShape]:
        return warnings_of(self.text, raw_code_of(self.snippet), is_mended=self.is_mended)


def raw_code_of(snippet: Snippet | None) -> RawCode | None:
    return RawCode(snippet.code, snippet.comment) if snippet else None


def reading(
    session: Session, row: Instance, decision: Decision | None = None, reader_id: int | None = None
) -> Reading:
    """The instance as it is, with what its reader has typed; of one's own decision: as one left it."""
    number = row.revision if decision is None else revision_left_by(decision)
    return Reading(
        row,
        text_at(session, row, number),
        text_of_revision(session, row.id, 0) if number else None,
        *known(session, row.id, reader_id),
    )


def columns_of(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}
