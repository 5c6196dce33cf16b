import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingestion.codesearchnet import outcome_of_line
from app.ingestion.jsonl import LONGEST_LINE
from app.ingestion.readers import Format, read_source
from app.ingestion.rows import READING_RULES, Refusal, Row
from tests.ingestion.rows import CODE, csn_row, jsonl, numbered_row, written

HUGGING_FACE = {
    "repository_name": "owner/numbers",
    "func_path_in_repository": "numbers/arithmetic.py",
    "func_name": "double_and_add",
    "whole_func_string": CODE,
    "language": "python",
    "func_code_string": CODE,
    "func_documentation_string": "Double the first number and add the second.",
    "func_code_url": "https://github.com/owner/numbers/blob/a/numbers/arithmetic.py#L1-L4",
    "split_name": "train",
}


def read(
    path: Path, license_: str | None = None, format_: Format = Format.CODESEARCHNET
) -> list[Row | Refusal]:
    return list(read_source(path, path.name, format_, license_))


def rules_and_lines(outcomes: list[Row | Refusal]) -> list[tuple[str, int | None]]:
    return [(one.rule if isinstance(one, Refusal) else "row", one.line) for one in outcomes]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.misnamed"])
def test_both_sets_of_field_names_give_the_same_row(tmp_path: Path, name: str):
    content = jsonl([csn_row(), HUGGING_FACE])
    first, second = read(written(tmp_path, content, name))

    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert second.code == first.code._replace(sha="")
    assert first.code.code == CODE
    assert first.code.comment == "Double the first number and add the second."


@pytest.mark.parametrize("row", [csn_row(), HUGGING_FACE])
def test_parquet_is_read_by_either_set_of_names(tmp_path: Path, row: dict[str, Any]):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([row, row | {"language": "cobol"}]), path)

    outcomes = read(path, format_=Format.PARQUET)

    assert rules_and_lines(outcomes) == [("row", 1), ("unknown_language", 2)]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (jsonl([csn_row()])[:200] + b"\n", "broken_line"),
        (b"[1, 2]\n", "not_an_object"),
        (b"9" * 5000 + b"\n", "broken_line"),
        (b"[" * 100_000 + b"\n", "broken_line"),
        (b'{"language": "python", "docstring": "x"}\n', "missing_field"),
        (jsonl([csn_row(docstring=None)]), "missing_field"),
        (jsonl([csn_row(code=["def", "f"])]), "wrong_type"),
        (jsonl([csn_row(language="Brainfuck")]), "unknown_language"),
        (jsonl([csn_row(code=CODE + "\0")]), "nul_character"),
        (jsonl([csn_row()])[:-1] + b"\0\n", "nul_character"),
        (jsonl([csn_row(docstring="\ud800 half a character")]), "bad_encoding"),
        (
            json.dumps(csn_row(docstring="Größe"), ensure_ascii=False).encode("latin-1") + b"\n",
            "bad_encoding",
        ),
        (jsonl([csn_row(path="../../etc/passwd")]), "hostile_name"),
        (jsonl([csn_row(path="/etc/passwd")]), "hostile_name"),
        (jsonl([csn_row(path="C:\\Windows\\win.ini")]), "hostile_name"),
        (jsonl([csn_row(repo="evil\u202etxt.exe")]), "hostile_name"),
        (jsonl([csn_row(func_name="x" * 5000)]), "hostile_name"),
        (jsonl([csn_row(url="javascript:alert(1)")]), "hostile_name"),
        (b'{"code": "' + b"x" * LONGEST_LINE + b'"}\n', "line_too_long"),
    ],
)
def test_a_bad_line_is_refused_by_name_and_number_and_its_neighbours_are_kept(
    tmp_path: Path, line: bytes, rule: str
):
    path = written(tmp_path, jsonl([numbered_row(1)]) + line + jsonl([numbered_row(2)]))

    outcomes = read(path)

    assert rules_and_lines(outcomes) == [("row", 1), (rule, 2), ("row", 3)]
    refused = outcomes[1]
    assert isinstance(refused, Refusal)
    assert refused.file == "rows.jsonl"
    assert refused.why
    assert len(refused.excerpt) <= 300
    json.dumps(refused).encode()  # can be stored: no half characters
    assert "\0" not in "".join(map(str, refused))


def test_a_gzip_that_breaks_off_keeps_the_rows_before_the_break(tmp_path: Path):
    whole = gzip.compress(jsonl(numbered_row(number, sha=str(number) * 30) for number in range(2000)))
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(whole[: len(whole) * 2 // 3])

    *rows, last = read(path)

    assert len(rows) > 500
    assert all(isinstance(row, Row) for row in rows)
    assert rules_and_lines([last]) == [("broken_gzip", len(rows) + 1)]


def test_damage_inside_a_gzip_and_rubbish_behind_it_are_told(tmp_path: Path):
    whole = gzip.compress(jsonl([csn_row()]))
    path = tmp_path / "rows.jsonl.gz"

    path.write_bytes(whole + b"rubbish")
    assert rules_and_lines(read(path)) == [("row", 1), ("broken_gzip", 2)]
    path.write_bytes(whole[:-8] + b"\0" * 8)  # a wrong checksum
    assert rules_and_lines(read(path))[-1][0] == "broken_gzip"


@pytest.mark.parametrize("content", [b"", b"\n\n  \n"])
def test_a_file_without_rows_says_so(tmp_path: Path, content: bytes):
    assert rules_and_lines(read(written(tmp_path, content))) == [("empty_file", None)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_refused_once_and_not_line_by_line(tmp_path: Path, encoding: str):
    content = "".join(json.dumps(numbered_row(n)) + "\n" for n in range(5)).encode(encoding)

    (refused,) = read(written(tmp_path, content))

    assert isinstance(refused, Refusal)
    assert refused.rule == "bad_encoding"
    assert "UTF-16" in refused.why


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path):
    content = b"\xef\xbb\xbf" + jsonl([csn_row()]).replace(b"\n", b"\r\n")

    assert rules_and_lines(read(written(tmp_path, content))) == [("row", 1)]


def test_a_parquet_file_that_is_none_or_holds_other_types_is_refused(tmp_path: Path):
    path = written(tmp_path, b"PAR1 no", "rows.parquet")
    assert rules_and_lines(read(path, format_=Format.PARQUET)) == [("broken_parquet", 1)]

    binary = pa.table({"code": [b"\xff\xfe"], "docstring": ["x"], "language": ["go"]})
    pq.write_table(binary, path)
    assert rules_and_lines(read(path, format_=Format.PARQUET)) == [("wrong_type", 1)]


def test_the_licence_of_a_row_goes_before_the_one_given_and_what_is_none_is_unknown(tmp_path: Path):
    rows = [csn_row(), csn_row(license="apache-2.0"), csn_row(license="free, I think")]

    outcomes = read(written(tmp_path, jsonl(rows)), "MIT")

    assert [row.code.license for row in outcomes if isinstance(row, Row)] == ["MIT", "Apache-2.0", None]


def test_markers_of_a_comment_are_not_part_of_it(tmp_path: Path):
    (row,) = read(written(tmp_path, jsonl([csn_row(docstring="// Doubles a number.\n// And adds.")])))

    assert isinstance(row, Row)
    assert row.code.comment == "Doubles a number.\nAnd adds."


def test_a_line_of_fifty_megabytes_is_never_in_memory(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"code": "')
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + jsonl([csn_row()]))
    tracemalloc.start()
    try:
        outcomes = read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert rules_and_lines(outcomes) == [("line_too_long", 1), ("row", 2)]
    assert peak < 3 * LONGEST_LINE


@given(st.binary(max_size=200))
def test_any_bytes_are_a_row_or_a_refusal_with_a_rule_that_is_explained(line: bytes):
    outcome = outcome_of_line(line, "file", 1, None)

    assert isinstance(outcome, Row) or outcome.rule in READING_RULES


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(sorted({*csn_row(), *HUGGING_FACE, "license"})), json_values))
def test_any_values_in_known_fields_are_a_row_or_a_refusal(fields: dict[str, Any]):
    outcome = outcome_of_line(json.dumps(fields).encode(), "file", 1, None)

    assert isinstance(outcome, Row) or outcome.rule in READING_RULES
