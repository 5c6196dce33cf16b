"""How the time of every regular expression and of every parser of foreign text grows with the text.

    python -m benchmarks.growth [--full]

Every compiled pattern that hangs on a module of `app` or `workers`, in whatever container, is found and tried, and so
is every parser in the table of `benchmarks._parsers`: on single characters and short units again and again, and on
texts that are made for the pattern. `slowest_pattern_ratio` and `slowest_parser_ratio` are the worst of time at
20,000 characters over time at 10,000, where the longer run takes over 5 ms of processor time; 1.0 where none does. A
case that takes long is stopped at a shorter text, with the ratio there. `faults` names parsers that raised what they
don't say they raise, or ended their process. A quick run takes the patterns' texts and the short units for parsers,
`--full` every combination of a beginning, a unit and an end.
"""

import ast
import gc
import importlib
import multiprocessing
import os
import pkgutil
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import app
import benchmarks
import workers
from app.settings import settings
from benchmarks._hostile import Hostile, begun_and_ended, characters, made_for, short_units

LONGEST = 20_000  # characters; the ratio is over half of it
COUNTED_S = 0.005  # processor time of the longer run
BOUND = 3.0
_STEPS = (2_500, 5_000, 10_000, LONGEST)
_NOTHING_S = 0.000_03  # at the shortest: even by the square the longest would not count
_ENOUGH_S = 0.1  # no longer text is tried after that
_LIMIT_S = 5  # of processor time for one case; then its process is ended
_REPEATS = 4
_MOST_GUILTY = 2  # cases of one target, after which the rest would say nothing new
_MOST_LEVELS = 4  # of containers within containers that are looked through
_LONGEST_NAME = 120  # characters
_PROCESSES = 2
_SHOWN = 25


class Target(NamedTuple):
    """Something that reads a text, what it may raise over one, and the texts that are tried."""

    name: str
    read: Callable[[str], object]
    refuses: tuple[type[Exception], ...]
    texts: Sequence[Hostile]


class Growth(NamedTuple):
    """The worst of one target on one text: time at `length` over time at half of it; `fault`: what went wrong."""

    name: str
    text: str
    length: int
    seconds: float
    ratio: float
    fault: str = ""


# --- what is tried ----------------------------------------------------------------------------------------


def modules() -> list[ModuleType]:
    """Every module of the product."""
    names = [
        found.name
        for package in (app, workers)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    with _redis_named():
        return [app, workers, *map(importlib.import_module, names)]


@contextmanager
def _redis_named() -> Iterator[None]:
    """The modules of workers want to know where Redis is; they don't look for it."""
    if "REDIS_URL" in os.environ:
        yield
        return
    os.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    settings.cache_clear()
    try:
        yield
    finally:
        del os.environ["REDIS_URL"]
        settings.cache_clear()


def patterns() -> dict[str, re.Pattern[str]]:
    """Every compiled pattern that hangs on a module, by where it was seen first."""
    found: dict[int, tuple[str, re.Pattern[str]]] = {}
    for module in modules():
        own = {name: value for name, value in vars(module).items() if not name.startswith("__")}
        for name, value in own.items():
            for where, pattern in _patterns_in(value, f"{module.__name__}.{name}", module.__name__):
                found.setdefault(id(pattern), (where, pattern))
    return dict(found.values())


def _patterns_in(
    value: object, where: str, module: str, levels: int = _MOST_LEVELS
) -> Iterator[tuple[str, re.Pattern[str]]]:
    """Patterns of text that `value` is or holds, itself or in containers and in classes of `module`."""
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield where, value
    elif isinstance(value, Mapping):
        inside = value.items()
    elif isinstance(value, (tuple, list, set, frozenset)):
        inside = enumerate(value)
    elif isinstance(value, partial):
        inside = enumerate(value.args)
    elif isinstance(value, type) and value.__module__ == module:
        inside = vars(value).items()
    for key, one in inside:
        if levels:
            yield from _patterns_in(one, f"{where}[{key}]"[:_LONGEST_NAME], module, levels - 1)


def loose_patterns() -> list[str]:
    """Places where a regular expression is written where it is used, and hangs on no module: nobody would try it."""
    return [
        f"{path.relative_to(root.parent)}:{node.lineno}"
        for root in (Path(app.__path__[0]), Path(workers.__path__[0]))
        for path in sorted(root.rglob("*.py"))
        for node in _calls_within_functions(ast.parse(path.read_text(encoding="utf-8")))
    ]


def _calls_within_functions(tree: ast.Module) -> Iterator[ast.Call]:
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda))]
    inside = {node for function in functions for node in ast.walk(function)}
    for node in inside:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr != "escape"
        ):
            yield node


def pattern_targets(*, full: bool) -> Iterator[Target]:
    """Each pattern as a search for every place of it, and as a match of the whole text."""
    common = [*characters(), *((*short_units(), *begun_and_ended()) if full else ())]
    for name, pattern in patterns().items():
        texts = made_for(pattern)
        yield Target(f"{name} finditer", partial(_find_all, pattern), (), [*common, *texts])
        yield Target(f"{name} fullmatch", pattern.fullmatch, (), texts)


def _find_all(pattern: re.Pattern[str], text: str) -> None:
    for _ in pattern.finditer(text):
        pass


def parser_targets(*, full: bool) -> Iterator[Target]:
    from benchmarks._parsers import parsers  # noqa: PLC0415 - patterns are tried without all of them

    texts = [*characters(), *short_units(), *(begun_and_ended() if full else ())]
    for parser in parsers():
        yield Target(parser.name, parser.read, parser.refuses, texts)


# --- one case ---------------------------------------------------------------------------------------------


def growth(target: Target, hostile: Hostile) -> Growth | None:
    """How the time of `target` grows on one text; None where it is too short to count and nothing goes wrong."""
    length, took = _STEPS[0], 0.0
    try:
        took = _seconds(target, hostile, length)
        for length in _steps(took):
            took = _seconds(target, hostile, length)
            if took > _ENOUGH_S:
                break
        if took <= COUNTED_S:
            return None
        ratio = took / _seconds(target, hostile, length // 2)
        if ratio > BOUND:  # a busy machine is no proof
            ratio = _ratio(target, hostile, length)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return Growth(target.name, str(hostile), length, took, 1.0, f"{type(error).__name__}: {error}"[:200])
    return Growth(target.name, str(hostile), length, round(took, 4), round(ratio, 2))


def _steps(first: float) -> Sequence[int]:
    """The lengths to try after the shortest: the longest at once, where that cannot take long."""
    if first > _ENOUGH_S or first < _NOTHING_S:
        return ()
    return _STEPS[-1:] if first < COUNTED_S / 2 else _STEPS[1:]


def _ratio(target: Target, hostile: Hostile, length: int) -> float:
    """The quickest of several runs at the length over the quickest at half of it."""
    times = [min(_seconds(target, hostile, size) for _ in range(_REPEATS)) for size in (length, length // 2)]
    return times[0] / times[1]


def _seconds(target: Target, hostile: Hostile, length: int) -> float:
    """Processor time: others on the machine do not count. Raises what the target does not say it raises.

    Of the thread: while a timer runs, the time of the process is told in whole ticks.
    """
    text = hostile.text(length)
    started = time.thread_time()
    with suppress(target.refuses):
        target.read(text)
    return time.thread_time() - started


# --- all of them, in processes that may be ended ----------------------------------------------------------


class Case(NamedTuple):
    target: Target
    hostile: Hostile


def survey(targets: Iterable[Target], processes: int = _PROCESSES) -> list[Growth]:
    """The growth of every case that counts. A case that does not come back, or ends its process, is named, too."""
    cases = [Case(target, hostile) for target in targets for hostile in target.texts]
    lanes = [_Lane(cases[number::processes]) for number in range(processes)]
    found: list[Growth] = []
    while open_lanes := {lane.results: lane for lane in lanes if lane.results is not None}:
        for ready in wait(open_lanes):
            found += open_lanes[ready].read()
    return found


class _Lane:
    """Cases one after the other in a child process, and in another one where a case has ended it."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._guilty: Counter[str] = Counter()
        self._context = multiprocessing.get_context("fork")  # nothing has to be handed over
        self._at = self._context.Value("q", 0, lock=False)
        self.results: Connection | None = None
        self._start(0)

    def _start(self, first: int) -> None:
        if first >= len(self._cases):
            self.results = None
            return
        self.results, theirs = self._context.Pipe(duplex=False)
        self._process = self._context.Process(target=self._work, args=(first, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def _work(self, first: int, results: Connection) -> None:
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        gc.disable()
        for number in range(first, len(self._cases)):
            case = self._cases[number]
            if self._guilty[case.target.name] >= _MOST_GUILTY:
                continue
            self._at.value = number
            signal.setitimer(signal.ITIMER_VIRTUAL, _LIMIT_S)
            found = growth(*case)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            gc.collect(0)
            if found is not None:
                self._guilty[case.target.name] += is_guilty(found)
                results.send(found)
        self._at.value = len(self._cases)

    def read(self) -> list[Growth]:
        """What has come in; after the end of a process the case that ended it."""
        assert self.results is not None
        try:
            found = [self.results.recv()]
        except EOFError:
            self._process.join()
            self.results.close()
            at, code = self._at.value, self._process.exitcode
            found = [] if code == 0 else [self._ended(self._cases[at], code or 0)]
            self._guilty.update(one.name for one in found)
            self._start(at + (code != 0))
            return found
        self._guilty.update(one.name for one in found if is_guilty(one))
        return found

    @staticmethod
    def _ended(case: Case, code: int) -> Growth:
        if code == -signal.SIGVTALRM:
            return Growth(case.target.name, str(case.hostile), LONGEST, _LIMIT_S, _LIMIT_S / _ENOUGH_S)
        return Growth(case.target.name, str(case.hostile), LONGEST, 0.0, 1.0, f"ended its process: {code}")


def is_guilty(one: Growth) -> bool:
    return one.ratio > BOUND or bool(one.fault)


def slowest(found: Iterable[Growth]) -> float:
    """The worst ratio, 1.0 where nothing took long enough to count."""
    return max((one.ratio for one in found), default=1.0)


def slowest_pattern_ratio(*, full: bool = False) -> float:
    """The worst module-level pattern: time at 20,000 characters over time at 10,000."""
    return slowest(survey(pattern_targets(full=full)))


# --- the whole --------------------------------------------------------------------------------------------


def run(full: bool) -> dict[str, Any]:
    of_patterns, of_parsers = list(pattern_targets(full=full)), list(parser_targets(full=full))
    pattern_growth, parser_growth = survey(of_patterns), survey(of_parsers)
    worst = worst_of_each([*pattern_growth, *parser_growth])
    for line in in_words(worst[:_SHOWN]):
        print(line)
    return {
        "patterns": len(patterns()),
        "parsers": len(of_parsers),
        "cases": sum(len(one.texts) for one in (*of_patterns, *of_parsers)),
        "slowest_pattern_ratio": slowest(pattern_growth),
        "slowest_parser_ratio": slowest(parser_growth),
        "too_slow": sum(one.ratio > BOUND for one in worst),
        "faults": [f"{one.name} on {one.text}: {one.fault}" for one in worst if one.fault],
        "loose_patterns": loose_patterns(),
        "worst": [one.name for one in worst if one.ratio > BOUND],
    }


def worst_of_each(found: Iterable[Growth]) -> list[Growth]:
    """The worst case of each target, the worst target first."""
    worst: dict[str, Growth] = {}
    for one in found:
        before = worst.get(one.name)
        if before is None or _badness(one) > _badness(before):
            worst[one.name] = one
    return sorted(worst.values(), key=_badness, reverse=True)


def _badness(one: Growth) -> tuple[bool, float, float]:
    return bool(one.fault), one.ratio, one.seconds


def in_words(found: Iterable[Growth]) -> Iterator[str]:
    """A table for people."""
    yield f"{'ratio':>7} {'seconds':>8} {'at':>7}  what, on which text"
    for one in found:
        yield f"{one.ratio:>7.2f} {one.seconds:>8.4f} {one.length:>7,}  {one.name}: {one.text} {one.fault}"


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()
