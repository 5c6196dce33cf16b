"""No pattern of the product takes the square of what it reads; `bench growth` tries the parsers, too."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks._hostile import Hostile
from benchmarks.growth import BOUND, COUNTED_S, Target, growth

ROOT = Path(__file__).parents[2]

# In a process of its own: the survey forks, and imports what this one may not have yet.
_SURVEY = """
import json
from benchmarks import growth
from benchmarks._hostile import Hostile
TEXTS = [Hostile(unit) for unit in ("a", " ", "\\n", "(", "{", '{"', '\\\\', "<!--", "/*", "é", "human:\\n", "a.")]
TEXTS += [Hostile("\\n", "assistant x", "y"), Hostile("A", "é"), Hostile("\\t", "x", "y")]
patterns = growth.pattern_targets(full=False)
targets = [target._replace(texts=[*TEXTS, *target.texts[-12:]]) for target in patterns]
found = [one for one in growth.survey(targets) if growth.is_guilty(one)]
print(json.dumps({"targets": len(targets), "guilty": [one._asdict() for one in found]}))
"""


def test_twice_the_text_takes_no_pattern_more_than_three_times_as_long() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SURVEY], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["guilty"] == []
    assert found["targets"] > 150


def test_a_parser_that_takes_more_than_the_square_is_found_out() -> None:
    def count(text: str) -> int:
        return sum(text.count(one) for one in text[: len(text) ** 2 // 100_000])

    found = growth(Target("count", count, (), ()), Hostile("a"))

    assert found is not None
    assert found.seconds > COUNTED_S
    assert found.ratio > BOUND
