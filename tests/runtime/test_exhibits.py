"""What the offline teacher and judge make of a folder of code, in figures and to read."""

from pathlib import Path

import pytest

from app.errors import NotFound
from app.pipeline import Task
from app.runtime.exhibits import collect, folders, in_words

SOURCE = '''
def larger(a, b):
    """Return the larger of two numbers, the second where they are equal."""
    if a > b:
        return a
    return b


def constant_of_the_house():
    """Return what everybody in the house has agreed on."""
    value = "a word that no operator changes"
    return value


def bare(a):
    return a
'''


def test_counts_add_up_and_exhibits_say_where_they_come_from(tmp_path: Path) -> None:
    for name in ("one.py", "other.py"):
        (tmp_path / name).write_text(SOURCE)

    found = collect([tmp_path], exhibits=1, seed=0)

    assert found.functions == {"kept": 2, "duplicate": 2, "no_comment": 2}
    assert {task: ended.total() for task, ended in found.instances.items()} == {
        Task.SUMMARIZATION: 2,
        Task.GENERATION: 2,
        Task.REPAIR: 2,
    }
    assert [len(kept) for kept in found.exhibits.values()] == [1, 1, 1]
    text = "\n".join(in_words(found))
    assert "Functions: 6" in text
    assert "=== repair 1 of 1: pass (one.py:" in text
    assert list(in_words(collect([tmp_path], 1, 0))) == list(in_words(found))


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="nobody_has_this"):
        folders(["nobody_has_this"])
