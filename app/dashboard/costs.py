"""What a project paid, and what one good instance costs. Touches the tables, reading only. Micro-dollars."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.pipeline import MAKING_STAGES, InstanceStatus, Verdict
from app.storage.tables import Call, CallTally, Instance, Run


class StageCost(NamedTuple):
    """What the closed calls of one stage to one model took."""

    stage: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_micro: int


class Bought(NamedTuple):
    """Money and what it brought; what is imported cost nothing and counts nowhere here."""

    cost_micro: int
    made: int  # instances with a text
    passed: int  # whose verdict is pass
    accepted: int  # by people, edited or not

    @property
    def per_passed(self) -> float | None:
        return self.cost_micro / self.passed if self.passed else None

    @property
    def per_accepted(self) -> float | None:
        return self.cost_micro / self.accepted if self.accepted else None


def by_stage(session: Session, project_id: int) -> list[StageCost]:
    """From the tally that is kept beside the calls: as quick in a project of any size."""
    query = (
        select(
            CallTally.stage,
            CallTally.model,
            func.sum(CallTally.calls),
            func.sum(CallTally.prompt_tokens),
            func.sum(CallTally.completion_tokens),
            func.sum(CallTally.cost_micro),
        )
        .join(Run, Run.id == CallTally.run_id)
        .where(Run.project_id == project_id)
        .group_by(CallTally.stage, CallTally.model)
        .order_by(CallTally.stage.desc(), CallTally.model)
    )
    return [
        StageCost(stage, model, *(int(number) for number in numbers))
        for stage, model, *numbers in session.execute(query)
    ]


def by_task(session: Session, project_id: int) -> dict[str, Bought]:
    """Generation and judgement of each task; replays are no part of it. Walks over every call of the project."""
    paid = (
        select(Instance.task, func.sum(Call.cost_micro))
        .join(Call, Call.source_id == Instance.id)
        .where(
            Instance.project_id == project_id,
            Call.stage.in_(MAKING_STAGES),
            Call.cost_micro > 0,
        )
        .group_by(Instance.task)
    )
    cost = {task: int(micro) for task, micro in session.execute(paid)}
    counts = (
        select(
            Instance.task,
            func.count().filter(Instance.text_hash.is_not(None)),
            func.count().filter(Instance.verdict == Verdict.PASS),
            func.count().filter(Instance.status == InstanceStatus.ACCEPTED),
        )
        .where(Instance.project_id == project_id, Instance.pick_id.is_not(None))
        .group_by(Instance.task)
        .order_by(Instance.task)
    )
    return {task: Bought(cost.get(task, 0), *numbers) for task, *numbers in session.execute(counts)}


def in_all(tasks: dict[str, Bought]) -> Bought:
    return (
        Bought(*(sum(column) for column in zip(*tasks.values(), strict=True)))
        if tasks
        else Bought(0, 0, 0, 0)
    )
