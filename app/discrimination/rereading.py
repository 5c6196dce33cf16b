"""What a judge's stored replies say now. Touches the tables, reading only."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from app.discrimination import queries
from app.discrimination.basis import Bases, Basis
from app.discrimination.handler import judgement_of
from app.discrimination.mechanical import Evidence
from app.discrimination.queries import Judgement
from app.engine.rereading import Came, Reread
from app.errors import Unparsable
from app.pipeline import Task, Verdict
from app.prompting.reading import how_read
from app.storage.tables import Call, Instance, VerdictRow


def reread(session: Session, calls: Sequence[Call]) -> list[Reread]:
    """Beside the newest verdicts on the present texts, one for one."""
    instances = queries.instances(session, [call.source_id for call in calls])
    evidence = queries.evidence_about(session, instances)
    verdicts = queries.newest_verdicts(session, instances)
    answers = queries.answers_of(session, [verdict.id for verdict in verdicts.values()])
    runs_and_tasks = {(call.run_id, Task(instances[call.source_id].task)) for call in calls}
    bases = {one: Bases().looked_up(session, *one) for one in runs_and_tasks}
    found: list[Reread] = []
    for call in calls:
        instance = instances[call.source_id]
        basis = bases[call.run_id, Task(instance.task)]
        verdict = verdicts.get(instance.id)
        kept = _Kept(verdict, answers.get(verdict.id, set()) if verdict else set())
        found.append(_reread(instance, call, basis, kept, evidence.get(instance.id, {})))
    return found


class _Kept(NamedTuple):
    verdict: VerdictRow | None
    answers: set[tuple[str, str, str, str]]  # rule, answer, reason, who checked it


def _reread(instance: Instance, call: Call, basis: Basis, kept: _Kept, evidence: Evidence) -> Reread:
    verdict = kept.verdict
    is_readable = verdict is not None and verdict.overall != Verdict.INVALID
    if verdict is not None and verdict.rules_hash != basis.rules.content_hash:
        return Reread(Came.OTHER_RULES)
    try:
        said = basis.said_by(call, queries.judged(instance))
    except Unparsable as error:
        return Reread(Came.REFUSED if is_readable else Came.SAME, f"{error.code}: {error}")
    judgement = judgement_of(instance, call, basis, said, evidence)
    if verdict is None or not is_readable:
        return Reread(Came.USABLE, judgement.overall)
    if _differs(judgement, verdict) or _answers(judgement) != kept.answers:
        return Reread(Came.CHANGED, f"{verdict.overall}, now {judgement.overall}")
    noted = how_read(said.marks)
    is_noted = (call.error_code, call.error_detail) == noted
    return Reread(Came.SAME if is_noted else Came.MARKED, noted=noted)


def _differs(judgement: Judgement, verdict: VerdictRow) -> bool:
    return (judgement.overall, judgement.claimed, judgement.contradictory) != (
        verdict.overall,
        verdict.claimed,
        verdict.contradictory,
    )


def _answers(judgement: Judgement) -> set[tuple[str, str, str, str]]:
    return {(one.rule.rule, one.answer, one.reason, one.checked_by) for one in judgement.answers}
