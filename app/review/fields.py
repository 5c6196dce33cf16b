"""How the three texts of an instance are shown: as code of a language, or as prose. Pure."""

from typing import NamedTuple

from app.pipeline import Task


class Shown(NamedTuple):
    """A text by its name, with the language to highlight it in; no language: prose."""

    name: str
    label: str
    language: str | None


def fields_of(task: str, language: str, target_language: str | None) -> list[Shown]:
    """Instruction, information and solution in reading order."""
    information = language if task != Task.GENERATION else None
    solution = None if task == Task.SUMMARIZATION else (target_language or language)
    return [
        Shown("instruction", "Instruction", None),
        Shown("information", "Information", information),
        Shown("solution", "Solution", solution),
    ]
