"""One good and one bad case of each task, with why. Written for this project. Pure."""

from typing import NamedTuple

from app.pipeline import Task
from app.prompting.exemplars import Case


class ShippedCase(NamedTuple):
    task: Task
    language: str
    case: Case


_MEDIAN = """\
def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2"""

_CHUNKS = """\
from itertools import islice


def chunks(items, size):
    if size < 1:
        raise ValueError("size must be at least 1")
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk"""

_COUNT_WORDS_JAVASCRIPT = """\
function countWords(text) {
  const counts = new Map();
  for (const word of text.toLowerCase().match(/[a-z']+/g) ?? []) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}"""

_COUNT_WORDS_PYTHON = """\
import re
from collections import Counter


def count_words(text):
    return Counter(re.findall(r"[a-z']+", text.lower()))"""

_FIND = """\
def find(ordered, wanted):
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(ordered) and ordered[low] == wanted else -1"""

CASES: tuple[ShippedCase, ...] = (
    ShippedCase(
        Task.SUMMARIZATION,
        "python",
        Case(
            instruction="Summarise what this Python function does, the case of an even count included.",
            information=_MEDIAN,
            solution=(
                "Returns the median of the values: the middle one in sorted order, or the mean of the two "
                "middle ones if their count is even. The values themselves are not reordered."
            ),
            is_good=True,
            analysis=(
                "The language is named, the information is the complete code, and each statement of the "
                "summary can be checked in it, the edge case that the instruction asks for included."
            ),
        ),
    ),
    ShippedCase(
        Task.SUMMARIZATION,
        "python",
        Case(
            instruction="Explain the code.",
            information=_MEDIAN,
            solution="This function sorts the list in place and returns its average.",
            is_good=False,
            analysis=(
                "The instruction does not name the language. The summary is wrong twice: sorted() makes a new "
                "list, and the result is the median, not the average."
            ),
        ),
    ),
    ShippedCase(
        Task.GENERATION,
        "python",
        Case(
            instruction=(
                "Write a Python generator function that yields the items of any iterable in lists of a given "
                "size, the last one possibly shorter, and raises ValueError for a size below 1."
            ),
            information="Signature: chunks(items, size)",
            solution=_CHUNKS,
            is_good=True,
            analysis=(
                "One sentence says the behaviour, the edge cases and the language; the import is there; the "
                "code does all of it and can be read without comments."
            ),
        ),
    ),
    ShippedCase(
        Task.GENERATION,
        "python",
        Case(
            instruction="Write a Python function that splits things.",
            information="",
            solution="def chunks(items, size):\n    return [islice(items, size)]",
            is_good=False,
            analysis=(
                "Nobody could write this solution from the instruction: it says neither into what nor how. "
                "islice is not imported, and only the first piece is returned."
            ),
        ),
    ),
    ShippedCase(
        Task.TRANSLATION,
        "javascript",
        Case(
            instruction="Translate this JavaScript function to Python, using the standard library where it helps.",
            information=_COUNT_WORDS_JAVASCRIPT,
            solution=_COUNT_WORDS_PYTHON,
            is_good=True,
            analysis=(
                "Both languages are named. The same words are counted in the same way, a text without words "
                "gives an empty result in both, and the solution is written as Python is written."
            ),
        ),
    ),
    ShippedCase(
        Task.TRANSLATION,
        "javascript",
        Case(
            instruction="Translate this JavaScript function to Python.",
            information=_COUNT_WORDS_JAVASCRIPT,
            solution=(
                "def countWords(text):\n    counts = {}\n    for word in text.split():\n"
                "        counts[word] = counts.get(word, 0) + 1\n    return counts"
            ),
            is_good=False,
            analysis=(
                "The behaviour changed: words keep their capitals and their punctuation, so that "
                '"The" and "the," are counted apart.'
            ),
        ),
    ),
    ShippedCase(
        Task.REPAIR,
        "python",
        Case(
            instruction=(
                "This Python function should return the place of a value in a sorted list, or -1, but for some "
                "lists it never returns. Repair it."
            ),
            information=_FIND.replace("low = middle + 1", "low = middle"),
            solution=_FIND,
            is_good=True,
            analysis=(
                "The instruction says what goes wrong without giving the place away. The information holds one "
                "realistic bug (the search does not move on), and the solution differs in that line only."
            ),
        ),
    ),
    ShippedCase(
        Task.REPAIR,
        "python",
        Case(
            instruction="Fix the line low = middle, which should be low = middle + 1, in this Python function.",
            information=_FIND.replace("low = middle + 1", "low = middle  # BUG"),
            solution=_FIND.replace("else -1", "else None"),
            is_good=False,
            analysis=(
                "The instruction and a comment give the fix away, and the solution changes something else as "
                "well: a value that is missing now gives None instead of -1."
            ),
        ),
    ),
)
