"""What discrimination reads and writes: the instance, its evidence, verdicts, judged cases."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, func, insert, select, tuple_
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.discrimination.mechanical import Evidence as Findings
from app.discrimination.mechanical import Found
from app.discrimination.opinion import Answered
from app.discrimination.prompts import Judged
from app.pipeline import Finding, Task, Verdict
from app.prompting.exemplars import Case, exemplar_of
from app.storage.tables import (
    Call,
    Evidence,
    Exemplar,
    Instance,
    Revision,
    RuleAnswer,
    Run,
    SentBack,
    VerdictRow,
)

TEXTS = ("instruction", "information", "solution")
JUDGED_CASES_CAP = 100  # of one task, language and side in a project's bank


def asked_about(session: Session, instance_ids: Collection[int]) -> Iterable[tuple[Instance, Run]]:
    """Instances with the runs that they are judged in, in one query."""
    statement = (
        select(Instance, Run).join(Run, Run.id == Instance.run_id).where(Instance.id.in_(instance_ids))
    )
    return session.execute(statement)


def instances(session: Session, instance_ids: Collection[int]) -> dict[int, Instance]:
    found = session.scalars(select(Instance).where(Instance.id.in_(instance_ids)))
    return {instance.id: instance for instance in found}


def judged(instance: Instance) -> Judged:
    return Judged(
        task=Task(instance.task),
        language=instance.language,
        target_language=instance.target_language,
        instruction=instance.instruction,
        information=instance.information,
        solution=instance.solution,
    )


def evidence_about(session: Session, instance_ids: Collection[int]) -> Mapping[int, Findings]:
    """What was found about the current revision of each instance, by kind."""
    statement = (
        select(Evidence.instance_id, Evidence.kind, Evidence.result, Evidence.detail)
        .join(Instance, (Instance.id == Evidence.instance_id) & (Instance.revision == Evidence.revision))
        .where(Instance.id.in_(instance_ids))
    )
    findings: dict[int, dict[str, Found]] = defaultdict(dict)
    for instance_id, kind, result, detail in session.execute(statement):
        findings[instance_id][kind] = Found(Finding(result), detail)
    return findings


def evidence_of_revision(session: Session, instance_id: int, revision: int) -> Findings:
    """What was found about one revision, by kind."""
    rows = session.execute(
        select(Evidence.kind, Evidence.result, Evidence.detail).where(
            Evidence.instance_id == instance_id, Evidence.revision == revision
        )
    )
    return {kind: Found(Finding(result), detail) for kind, result, detail in rows}


def judged_at(session: Session, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], Judged]:
    """What stood in instances at a revision: (instance, revision) -> that.

    A text that nobody has changed may stand in its instance alone.
    """
    found = instances(session, {instance_id for instance_id, _ in wanted})
    rows = session.scalars(select(Revision).where(tuple_(Revision.instance_id, Revision.number).in_(wanted)))
    texts = {(row.instance_id, row.number): row for row in rows}
    return {one: judged(found[one[0]])._replace(**_text_of(texts.get(one, found[one[0]]))) for one in wanted}


def _text_of(row: Revision | Instance) -> dict[str, str]:
    return {name: getattr(row, name) for name in TEXTS}


def machine_revisions(session: Session, instance_ids: Collection[int]) -> dict[int, int]:
    """The newest revision of each instance that no person wrote."""
    query = select(Instance.id, _newest_by_a_machine(Instance.id)).where(Instance.id.in_(instance_ids))
    return {instance_id: revision or 0 for instance_id, revision in session.execute(query)}


def _newest_by_a_machine(instance_id: ColumnElement[int] | InstrumentedAttribute[int]) -> ScalarSelect[int]:
    newest = select(func.max(Revision.number)).where(
        Revision.instance_id == instance_id, Revision.person_id.is_(None)
    )
    return newest.scalar_subquery()


class Judgement(NamedTuple):
    """A verdict on the current revision of an instance, with its answers rule by rule."""

    instance: Instance
    call: Call
    overall: Verdict
    answers: Sequence[Answered]
    rules_hash: str
    claimed: str | None = None
    contradictory: bool = False
    why_invalid: str | None = None


def keep_verdicts(session: Session, judgements: Sequence[Judgement]) -> None:
    rows = [
        VerdictRow(
            instance_id=one.instance.id,
            call_id=one.call.id,
            revision=one.instance.revision,
            overall=one.overall,
            claimed=one.claimed,
            contradictory=one.contradictory,
            why_invalid=one.why_invalid,
            rules_hash=one.rules_hash,
        )
        for one in judgements
    ]
    session.add_all(rows)
    session.flush()
    answers = [
        {
            "verdict_id": row.id,
            "rule": answer.rule.rule,
            "text": answer.rule.text,
            "required": answer.rule.required,
            "checked_by": answer.checked_by,
            "answer": answer.answer,
            "reason": answer.reason,
        }
        for row, one in zip(rows, judgements, strict=True)
        for answer in one.answers
    ]
    if answers:
        session.execute(insert(RuleAnswer), answers)


def runs_that_send_back(session: Session, run_ids: Collection[int]) -> set[int]:
    """Of these runs those in which a text goes back once."""
    asked = select(Run.id).where(Run.id.in_(run_ids), Run.params["send_back"].as_boolean())
    return set(session.scalars(asked))


def keep_sent_back(session: Session, rows: Sequence[tuple[Judgement, str]]) -> None:
    """Keep the texts as they are now, with what was found."""
    texts = ("instruction", "information", "solution")
    session.add_all(
        SentBack(
            instance_id=judgement.instance.id,
            judge_call_id=judgement.call.id,
            analysis=found,
            **{name: getattr(judgement.instance, name) for name in texts},
        )
        for judgement, found in rows
    )


def newest_verdicts(session: Session, instance_ids: Collection[int]) -> dict[int, VerdictRow]:
    """The newest verdict on the current revision of each instance that has one."""
    newest = (
        select(func.max(VerdictRow.id))
        .join(Instance, (Instance.id == VerdictRow.instance_id) & (Instance.revision == VerdictRow.revision))
        .where(Instance.id.in_(instance_ids))
        .group_by(Instance.id)
    )
    rows = session.scalars(select(VerdictRow).where(VerdictRow.id.in_(newest)))
    return {row.instance_id: row for row in rows}


def answers_of(session: Session, verdict_ids: Collection[int]) -> dict[int, set[tuple[str, str, str, str]]]:
    """(rule, answer, reason, who checked it), by verdict."""
    found: dict[int, set[tuple[str, str, str, str]]] = defaultdict(set)
    columns = (RuleAnswer.rule, RuleAnswer.answer, RuleAnswer.reason, RuleAnswer.checked_by)
    statement = select(RuleAnswer.verdict_id, *columns).where(RuleAnswer.verdict_id.in_(verdict_ids))
    for verdict_id, rule, answer, reason, checked_by in session.execute(statement):
        found[verdict_id].add((rule, answer, reason, checked_by))
    return found


def keep_judged_cases(session: Session, cases: Sequence[tuple[Instance, Case]]) -> None:
    """Put judged cases into the bank of their project, but those whose text is there or whose place is full.

    Nothing judged in a run can come back in it: a run draws from the snapshot frozen at its start.
    """
    if not cases:
        return
    kinds = {_kind_of(instance, case) for instance, case in cases}
    columns = (Exemplar.project_id, Exemplar.task, Exemplar.language, Exemplar.is_good)
    statement = (
        select(*columns, func.count())
        .where(tuple_(*columns).in_(kinds), Exemplar.origin == "judge")
        .group_by(*columns)
    )
    kept = Counter({(row[0], row[1], row[2], row[3]): row[4] for row in session.execute(statement)})
    rows: list[dict[str, Any]] = []
    for instance, case in cases:
        kind = _kind_of(instance, case)
        if kept[kind] >= JUDGED_CASES_CAP:
            continue
        kept[kind] += 1
        case_columns = exemplar_of(instance.task, instance.language, case)
        rows.append(
            case_columns | {"project_id": instance.project_id, "instance_id": instance.id, "origin": "judge"}
        )
    if rows:
        # In one order everywhere: two groups with the same texts must not wait for each other.
        rows.sort(key=lambda row: str(row["content_hash"]))
        session.execute(postgresql.insert(Exemplar).on_conflict_do_nothing(), rows)


def _kind_of(instance: Instance, case: Case) -> tuple[int, str, str, bool]:
    return instance.project_id, instance.task, instance.language, case.is_good
