"""What discrimination reads and writes: the instance, its evidence, verdicts, judged cases."""

from collections.abc import Sequence

from sqlalchemy import func, insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

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
    RuleAnswer,
    Run,
    VerdictRow,
)

JUDGED_CASES_CAP = 100  # of one task, language and side in a project's bank


def asked_about(session: Session, instance_id: int) -> tuple[Instance, Run]:
    """An instance with the run it is judged in, in one query."""
    statement = select(Instance, Run).join(Run, Run.id == Instance.run_id).where(Instance.id == instance_id)
    instance, run = session.execute(statement).one()
    return instance, run


def judged(instance: Instance) -> Judged:
    return Judged(
        task=Task(instance.task),
        language=instance.language,
        target_language=instance.target_language,
        instruction=instance.instruction,
        information=instance.information,
        solution=instance.solution,
    )


def evidence_about(session: Session, instance: Instance) -> Findings:
    """What was found about the instance's current revision, by kind."""
    statement = select(Evidence.kind, Evidence.result, Evidence.detail).where(
        Evidence.instance_id == instance.id, Evidence.revision == instance.revision
    )
    return {kind: Found(Finding(result), detail) for kind, result, detail in session.execute(statement)}


def keep_verdict(
    session: Session,
    instance: Instance,
    call: Call,
    verdict: Verdict,
    answers: Sequence[Answered],
    **columns: object,
) -> VerdictRow:
    """Add a verdict on the instance's current revision, with its answers rule by rule."""
    row = VerdictRow(
        instance_id=instance.id, call_id=call.id, revision=instance.revision, overall=verdict, **columns
    )
    session.add(row)
    session.flush()
    rows = [
        {
            "verdict_id": row.id,
            "rule": answer.rule.rule,
            "text": answer.rule.text,
            "required": answer.rule.required,
            "checked_by": answer.checked_by,
            "answer": answer.answer,
            "reason": answer.reason,
        }
        for answer in answers
    ]
    if rows:
        session.execute(insert(RuleAnswer), rows)
    return row


def keep_judged_case(session: Session, instance: Instance, case: Case) -> None:
    """Put a judged case into the project's bank, unless its text is there or the bank is full.

    Nothing judged in this run can come back in it: a run draws from the snapshot frozen at its start.
    """
    kept = select(func.count()).where(
        Exemplar.project_id == instance.project_id,
        Exemplar.task == instance.task,
        Exemplar.is_good == case.is_good,
        Exemplar.language == instance.language,
        Exemplar.origin == "judge",
    )
    if session.scalars(kept).one() >= JUDGED_CASES_CAP:
        return
    row = {
        **exemplar_of(instance.task, instance.language, case),
        "project_id": instance.project_id,
        "instance_id": instance.id,
        "origin": "judge",
    }
    session.execute(postgresql.insert(Exemplar).values(row).on_conflict_do_nothing())
