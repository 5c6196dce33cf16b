"""What the offline teacher and judge make of installed Python code: counts, and exhibits to read. Touches files, to read.

Every function goes the way of a run, cleaning, teacher, mechanical checks, judge, without a database.
"""

import random
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import PathFinder
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from app.discrimination import prompts
from app.discrimination.basis import Basis
from app.discrimination.mechanical import Found
from app.discrimination.offline import no_opinion
from app.discrimination.opinion import overall
from app.discrimination.parsing import Opinion
from app.discrimination.prompts import Judged
from app.discrimination.rubric import by_a_model, rule_set
from app.errors import NotFound, Unparsable
from app.evidence.checks import Subject, check_instance
from app.generation import offline
from app.generation.parsing import Written, parsed
from app.generation.prompts import Material
from app.ingestion.checkout import read_checkout
from app.ingestion.cleaning import CLEANING_RULES, refused
from app.ingestion.rows import Refusal, Row
from app.pipeline import Task, Verdict
from app.prompting.exemplars import draw_seed

PACKAGES = (
    "alembic",
    "celery",
    "click",
    "fastapi",
    "jinja2",
    "kombu",
    "pydantic",
    "redis",
    "sqlalchemy",
    "starlette",
)
_LANGUAGE = "python"


class Exhibit(NamedTuple):
    """One instance as a reader would see it, and what the judge said."""

    where: str
    written: Written
    verdict: Verdict
    not_met: Sequence[str]


class Counts(NamedTuple):
    """Of functions by what became of them; of each task by how instances ended; of (task, rule) by answer."""

    functions: Counter[str]
    instances: dict[Task, Counter[str]]
    answers: dict[tuple[Task, str], Counter[str]]
    exhibits: dict[Task, list[Exhibit]]


def folders(packages: Sequence[str]) -> list[Path]:
    """The standard library and these packages. Raises NotFound for one that is not installed."""
    found = [Path(sysconfig.get_path("stdlib"))]
    for name in packages:
        spec = PathFinder.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise NotFound(f"{name} is no installed package")
        found.append(Path(next(iter(spec.submodule_search_locations))))
    return found


def collect(paths: Iterable[Path], exhibits: int, seed: int, most: int | None = None) -> Counts:
    """Everything that is made of the functions below `paths`, of which some drawn by `seed` are kept to read."""
    counts = Counts(Counter(), defaultdict(Counter), defaultdict(Counter), defaultdict(list))
    draw = random.Random(seed)
    bases = {
        task: Basis(prompts.template(task), rule_set(prompts.rules_template(task).content))
        for task in offline.TASKS
    }
    seen: set[str] = set()
    for row in islice(_kept(paths, counts.functions, seen), most):
        for task in offline.TASKS:
            made = _made(row, task, seed)
            if isinstance(made, str):
                counts.instances[task][made] += 1
                continue
            exhibit = _judged(row, task, made, bases[task], counts)
            counts.instances[task][exhibit.verdict] += 1
            _keep(counts.exhibits[task], exhibit, exhibits, counts.instances[task], draw)
    return counts


def _kept(paths: Iterable[Path], functions: Counter[str], seen: set[str]) -> Iterator[Row]:
    for path in paths:
        for row in read_checkout(path, path.name, None):
            refusal = row if isinstance(row, Refusal) else refused(row, CLEANING_RULES)
            code = None if isinstance(row, Refusal) else row.code.code
            name = refusal.rule if refusal else "duplicate" if code in seen else "kept"
            functions[name] += 1
            if name == "kept" and isinstance(row, Row):
                seen.add(row.code.code)
                yield row


def _made(row: Row, task: Task, seed: int) -> Written | str:
    """The teacher's instance, or why there is none."""
    granularity = offline.GRANULARITIES[row.line % len(offline.GRANULARITIES)]
    material = Material(task, _LANGUAGE, row.code.code, row.code.comment, "", None, None, 0, granularity)
    lesson = offline.teach(material, draw_seed(seed, row.file, row.line))
    try:
        return parsed(lesson.answered.reply, task, _LANGUAGE).written
    except Unparsable as error:
        return lesson.answered.reply.refusal or str(error)


def _judged(row: Row, task: Task, written: Written, basis: Basis, counts: Counts) -> Exhibit:
    _, instruction, information, solution = written
    judged = Judged(task, _LANGUAGE, None, instruction, information, solution)
    subject = Subject(task, _LANGUAGE, None, information, solution, None)
    evidence = {str(one.kind): Found(one.result, one.detail) for one in check_instance(subject)}
    silent = Opinion(no_opinion(by_a_model(basis.rules_for(judged))), claimed=None, marks=())
    answers = basis.answers(judged, silent, evidence)
    for one in answers:
        counts.answers[task, one.rule.rule][one.answer] += 1
    not_met = [f"{one.rule.rule}: {one.reason}" for one in answers if one.answer == "no"]
    return Exhibit(f"{row.file}:{row.line}", written, overall(answers), not_met)


def _keep(kept: list[Exhibit], exhibit: Exhibit, most: int, made: Counter[str], draw: random.Random) -> None:
    """A fair draw of `most` from a stream (Vitter's algorithm R)."""
    so_far = made[Verdict.PASS] + made[Verdict.FAIL]
    if len(kept) < most:
        kept.append(exhibit)
    elif (place := draw.randrange(so_far)) < most:
        kept[place] = exhibit


# --- in words ---------------------------------------------------------------------------------------------


def in_words(counts: Counts) -> Iterator[str]:
    """The figures first, then the exhibits."""
    yield f"Functions: {counts.functions.total():,}"
    yield from _shares(counts.functions)
    for task, ended in counts.instances.items():
        yield f"\n{task}: {ended.total():,} asked for"
        yield from _shares(ended)
        for (of, rule), answers in counts.answers.items():
            if of == task:
                yield f"  {rule:<24}" + "  ".join(
                    f"{answer.replace('_', ' ')} {_percent(number, answers.total())}"
                    for answer, number in answers.most_common()
                )
    for task, exhibits in counts.exhibits.items():
        for number, one in enumerate(exhibits, 1):
            yield f"\n=== {task} {number} of {len(exhibits)}: {one.verdict} ({one.where})"
            yield from (f"--- {name}\n{getattr(one.written, name)}" for name in Written._fields[1:])
            yield from (f"!!! {why}" for why in one.not_met)


def _shares(counts: Counter[str]) -> Iterator[str]:
    for name, number in counts.most_common():
        yield f"  {number:>8,}  {_percent(number, counts.total()):>6}  {name.replace('_', ' ')}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"
