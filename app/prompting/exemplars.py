"""Judged cases that show a model what is wanted: their form, their choice, how a prompt shows one. Pure."""

import hashlib
import json
import random
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from app.prompting.untrusted import neutralise


class Case(NamedTuple):
    """A whole judged case. A good one and a bad one stand in every prompt."""

    instruction: str
    information: str
    solution: str
    is_good: bool
    analysis: str  # why it is good or bad


class Listed(NamedTuple):
    """A case of a run's frozen snapshot, without its text."""

    exemplar_id: int
    task: str
    language: str
    is_good: bool


class Drawn(NamedTuple):
    """The ids of one good and one bad case; None where the snapshot holds none."""

    good: int | None
    bad: int | None

    def of(self, cases: Mapping[int, Case]) -> tuple[Case | None, Case | None]:
        """The good and the bad case themselves, from texts by id."""
        good, bad = (None if case_id is None else cases.get(case_id) for case_id in self)
        return good, bad

    def columns(self) -> dict[str, int | None]:
        """As a question and a call name them."""
        return {"good_exemplar_id": self.good, "bad_exemplar_id": self.bad}


NONE = Drawn(None, None)


def draw_exemplars(snapshot: Iterable[Listed], seed: int, task: str, language: str) -> Drawn:
    """One good and one bad case of `task`, of `language` where there is one.

    The same snapshot, in whatever order, and the same seed give the same cases.
    """
    fitting = sorted(case for case in snapshot if case.task == task)
    draw = random.Random(seed)
    return Drawn(
        good=_one_of([case for case in fitting if case.is_good], language, draw),
        bad=_one_of([case for case in fitting if not case.is_good], language, draw),
    )


def _one_of(cases: list[Listed], language: str, draw: random.Random) -> int | None:
    in_language = [case for case in cases if case.language == language]
    candidates = in_language or cases
    return draw.choice(candidates).exemplar_id if candidates else None


def draw_seed(run_seed: int, *what: object) -> int:
    """The seed of one draw, from the run's seed and what is drawn for."""
    return int.from_bytes(hashlib.sha256(repr((run_seed, *map(str, what))).encode()).digest()[:8])


def exemplar_of(task: str, language: str, case: Case) -> dict[str, Any]:
    """`case` as columns of the exemplar table, without project, instance and origin.

    Two cases with the same text have the same `content_hash`, whatever was said about them: it is the text's.
    """
    return {
        "task": task,
        "language": language,
        "content_hash": text_hash(task, case.instruction, case.information, case.solution),
        **case._asdict(),
    }


def text_hash(task: str, instruction: str, information: str, solution: str) -> str:
    """SHA-256 of what makes two instances, or cases, the same text: 64 hexadecimal digits."""
    text = json.dumps([task, instruction, information, solution], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def case_in_words(case: Case) -> str:
    """A judged case as a prompt shows it. Its texts come from strangers too."""
    return "\n".join(
        [
            "A good case:" if case.is_good else "A bad case:",
            *(
                f"{name}:\n{neutralise(text)}"
                for name, text in (
                    ("instruction", case.instruction),
                    ("information", case.information),
                    ("solution", case.solution),
                    ("analysis", case.analysis),
                )
            ),
        ]
    )
