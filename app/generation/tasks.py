"""The four tasks: what each asks for and what goes into its question. Pure.

The tasks are those of WaveCoder (arXiv 2312.14187): a dataset without one of them is not done.
"""

from typing import NamedTuple

from app.pipeline import Granularity, Task


class Brief(NamedTuple):
    """What a task asks of the generator."""

    task_name: str  # the value of the key `task_name`
    definition: str
    requirements: tuple[str, ...]
    information: str  # what the key `information` holds
    solution: str  # what the key `solution` holds
    sees_comment: bool  # whether the comment of the raw code is part of the question


_REQUIREMENTS = (
    "The instruction is one or two sentences, a request to a programmer, and names the programming language.",
    "The solution answers the instruction and uses what the information gives, completely.",
    "The instruction and the information together are enough to write the solution; neither gives it away.",
)
_CODE = (
    "The solution is code with comments in the code only: no prose, no fences.",
    "Needed imports are present and every name is defined or given in the information.",
    "The logic is readable: not buried in long undocumented code.",
)

BRIEFS: dict[Task, Brief] = {
    Task.SUMMARIZATION: Brief(
        task_name="code summarization",
        definition="Given code, write what it does in words.",
        requirements=(
            *_REQUIREMENTS,
            "The information is the raw code without its comment.",
            "Every statement of the solution is true of the code.",
        ),
        information="the code to be summarised, complete and unchanged",
        solution="the summary, in prose",
        sees_comment=True,
    ),
    Task.GENERATION: Brief(
        task_name="code generation",
        definition="Given a description, write the code that does what it says.",
        requirements=(
            *_REQUIREMENTS,
            *_CODE,
            "The description is so exact that a programmer who has not seen the raw code could write it.",
        ),
        information="what the code is given: signature, inputs, formats, names that exist; may be empty",
        solution="the code, complete",
        sees_comment=True,
    ),
    Task.TRANSLATION: Brief(
        task_name="code translation",
        definition="Given code in one programming language, write code in another that does the same.",
        requirements=(
            "The instruction is one or two sentences, a request to a programmer, and names both programming "
            "languages.",
            *_REQUIREMENTS[1:],
            *_CODE,
            "The information is the raw code, unchanged.",
            "The solution is written as people write the target language, with its own names and library.",
        ),
        information="the code to be translated, complete and unchanged",
        solution="the same behaviour in the target language, complete",
        sees_comment=False,
    ),
    Task.REPAIR: Brief(
        task_name="code repair",
        definition="Given code with a bug, write the code without it.",
        requirements=(
            *_REQUIREMENTS,
            *_CODE,
            "The information is the raw code with one bug put in, as programmers make them; it is not marked.",
            "The instruction says what goes wrong, not where; it does not give the fix away.",
            "The solution differs from the information in the bug only.",
        ),
        information="the code with the bug, complete",
        solution="the repaired code, complete",
        sees_comment=True,
    ),
}

BUG_KINDS = (
    "a wrong comparison",
    "an off-by-one error",
    "a wrong operator",
    "a wrong or swapped variable",
    "a missing check of an edge case",
    "a wrong constant",
    "a wrong value returned",
    "a missing or misplaced statement",
)

GRANULARITIES: dict[Granularity, str] = {
    Granularity.LINE: "The summary is one sentence: what the code is for. The instruction asks for one sentence.",
    Granularity.PARAGRAPH: (
        "The summary is one paragraph of two to five sentences: what goes in, what comes out, what happens at the "
        "edges. The instruction asks for a paragraph."
    ),
    Granularity.STEPS: (
        "The summary is a numbered list: each step of the code in its order, a sentence each. The instruction asks "
        "for the steps."
    ),
}
"""What a summary's question says of it."""
