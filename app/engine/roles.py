"""Which of a run's models a stage asks. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from app.pipeline import OFFLINE, Stage


class ModelRole(StrEnum):
    """The name of a model in a run's parameters."""

    GENERATOR = "generator"
    DISCRIMINATOR = "discriminator"


ROLE_OF = {
    Stage.GENERATE: ModelRole.GENERATOR,
    Stage.DISCRIMINATE: ModelRole.DISCRIMINATOR,
    Stage.CORRECT: ModelRole.GENERATOR,
    Stage.CONFIRM: ModelRole.DISCRIMINATOR,
    Stage.REPLAY: ModelRole.DISCRIMINATOR,
    Stage.TRY_PROMPT: ModelRole.GENERATOR,
    Stage.TRY_JUDGE: ModelRole.DISCRIMINATOR,
}


def model_of(stage: str, params: Mapping[str, Any]) -> str:
    """The model that a stage of a run with these parameters asks."""
    return str(params.get(ROLE_OF[Stage(stage)]) or OFFLINE)


def stages_of(role: ModelRole) -> tuple[Stage, ...]:
    return tuple(stage for stage, asks in ROLE_OF.items() if asks is role)
