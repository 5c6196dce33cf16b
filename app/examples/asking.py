"""What the lists of examples are asked for. Touches HTTP."""

from typing import Annotated, Literal

from fastapi import Depends, Query

from app.examples.queries import Filters
from app.pipeline import LANGUAGES, Standing, Task

SIDES = ("good", "bad")
ORIGINS = ("person", "judge", "shipped")
CHOICES = {
    "task": list(Task),
    "language": list(LANGUAGES),
    "side": list(SIDES),
    "origin": list(ORIGINS),
    "standing": list(Standing),
}


def asked_filters(
    task: Annotated[Task | Literal[""], Query()] = "",
    language: Annotated[str, Query(max_length=20)] = "",
    side: Annotated[Literal["good", "bad", ""], Query()] = "",
    origin: Annotated[Literal["person", "judge", "shipped", ""], Query()] = "",
    standing: Annotated[Standing | Literal[""], Query()] = "",
    q: Annotated[str, Query(max_length=200, description="Words in any text of a case")] = "",
) -> Filters:
    return Filters(task, language, side, origin, standing, q.strip())


AskedFilters = Annotated[Filters, Depends(asked_filters)]
