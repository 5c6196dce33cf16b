"""Rows that were read once each, in draw order."""

from collections.abc import Sequence
from datetime import UTC, datetime

from app.guarantee.labels import Labelled, Reading
from app.pipeline import Action, Part

_THEN = datetime(2026, 11, 26, tzinfo=UTC)


def labelled(defect: Sequence[bool]) -> list[Labelled]:
    return [
        Labelled(
            row_id=f"project-{position}",
            instance_id=position,
            part=Part.RANDOM,
            position=position,
            twice=False,
            revision=0,
            readings=(Reading(position, 1, wrong, Action.ACCEPT, None, _THEN),),
        )
        for position, wrong in enumerate(defect, start=1)
    ]
