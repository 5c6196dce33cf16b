import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingestion.records import Record, count_records, read_records
from app.ingestion.rows import Refusal
from tests.ingestion.rows import written

OBJECTS = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(), max_size=3), min_size=1
)


def read(folder: Path, content: bytes, name: str = "set.json") -> list[Record | Refusal]:
    path = written(folder, content, name)
    outcomes = list(read_records(path, name))
    assert list(count_records(path, name))[-1] == len(outcomes)
    return outcomes


def kinds(outcomes: list[Record | Refusal]) -> list[Any]:
    return [one.value if isinstance(one, Record) else one.rule for one in outcomes]


@given(OBJECTS, st.sampled_from([None, 1]), st.booleans())
def test_lines_and_arrays_however_written_hold_the_same_records(
    objects: list[dict[str, Any]], indent: int | None, is_packed: bool
):
    lines = "\n\n".join(json.dumps(one, ensure_ascii=False) for one in objects).encode(
        "utf-8", "surrogatepass"
    )
    array = json.dumps(objects, indent=indent).encode()
    with TemporaryDirectory() as folder:
        name = "set.json.gz" if is_packed else "set.json"
        read_lines, read_array = (kinds(read(Path(folder), content, name)) for content in (lines, array))

    assert read_lines == read_array == objects


def test_a_record_is_numbered_by_its_line_or_its_place_in_the_array(tmp_path: Path):
    lines = read(tmp_path, b'{"a": 1}\n\n{"a": 2}\n')
    array = read(tmp_path, b'[{"a": 1},\n\n{"a": 2}]')

    assert [one.number for one in lines if isinstance(one, Record)] == [1, 3]
    assert [one.number for one in array if isinstance(one, Record)] == [1, 2]


@pytest.mark.parametrize(
    ("content", "expected", "why"),
    [
        (b"[]", ["empty_file"], "an array without records"),
        (
            b'[{"a": 1}, {"a"',
            [{"a": 1}, "broken_array"],
            "after record 1: Expecting ':' delimiter, on line 1",
        ),
        (b'[{"a": 1},\n]', [{"a": 1}, "broken_array"], "Expecting value, on line 2"),
        (
            b'[{"a": 1}\n{"a": 2}]',
            [{"a": 1}, "broken_array"],
            "a comma or the end of the array is missing, on line 2",
        ),
        (b'[{"a": 1}] []', [{"a": 1}, "broken_array"], "more after the end of the array"),
        (b'[1, {"a": 1}]', ["not_an_object", {"a": 1}], "it is a number"),
        (b"[" * 100_000, ["broken_array"], "recursion"),
        ('[{"a": 1}]'.encode("utf-16-le"), ["bad_encoding"], "UTF-16"),
        (b'{"a": 1}\n{half\n{"a": 2}', [{"a": 1}, "broken_line", {"a": 2}], "Expecting property name"),
        (gzip.compress(b'[{"a": 1}]', mtime=0)[:-9], ["broken_gzip"], "after line 0"),
    ],
)
def test_damage_is_a_refusal_with_its_place_and_what_stands_before_it_is_kept(
    tmp_path: Path, content: bytes, expected: list[Any], why: str
):
    outcomes = read(tmp_path, content)

    assert kinds(outcomes) == expected
    assert any(why in one.why for one in outcomes if isinstance(one, Refusal))


def test_a_record_longer_than_a_piece_that_is_read_is_whole(tmp_path: Path):
    long = [{"a": "ä" * 3_000_000}, {"a": "b"}]

    assert kinds(read(tmp_path, json.dumps(long, ensure_ascii=False).encode())) == long


def test_a_record_without_an_end_is_given_up_before_it_fills_the_memory(tmp_path: Path):
    outcomes = read(tmp_path, b'[{"a": 1}, {"a": "' + b"x" * 12_000_000)

    assert kinds(outcomes) == [{"a": 1}, "broken_array"]
