"""Whatever a file holds, reading ends soon, says why in a sentence, and keeps what stands beside it."""

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.runs import progress_of
from app.errors import InvalidInput
from app.ingestion import confined, importing, service
from app.ingestion.confined import Reading, ReadingStopped
from app.ingestion.importing import Asked
from app.ingestion.readers import AUTO, format_of, read_source
from app.ingestion.records import first_records
from app.ingestion.rows import READING_RULES, Refusal
from app.pipeline import Role
from app.storage.tables import Rejection, Run
from tests.factories import make_person, make_project
from tests.ingestion import hostile
from tests.ingestion.rows import csn_row, jsonl, written
from tests.ingestion.sets import alpaca_row

ENDS = [
    ("negative size", hostile.a_tar_whose_size_is_negative(), 1, "broken_archive"),
    ("chained names", hostile.a_tar_of_chained_names(), 1, "broken_archive"),
    ("chained headers", hostile.a_tar_of_chained_headers(), 1, "broken_archive"),
    ("sparse size", hostile.a_tar_with("GNU.sparse.size", "x"), 1, "broken_archive"),
    ("sparse map", hostile.a_tar_with("GNU.sparse.map", "a,b"), 1, "broken_archive"),
    ("huge size", hostile.a_tar_with("size", "9" * 20, b"Z"), 1, "broken_archive"),
    ("a million entries", hostile.a_zip_of_entries(300_000), 0, "too_many_files"),
    ("entries that are not claimed", hostile.a_zip_of_entries(800_000, claimed=3), 0, "too_many_files"),
    ("a name that is no UTF-8", hostile.a_zip_with_a_name_that_is_no_utf8(), 0, "broken_archive"),
    ("a dictionary of gigabytes", hostile.a_zip_that_asks_for_gigabytes(), 0, "unreadable"),
    ("empty lines", hostile.packed(b"\n" * 5_000_000), 0, "too_many_empty_lines"),
    ("zeros", hostile.packed(b"\0" * 100_000_000), 0, "too_much_unpacked"),
    ("text of a dictionary", hostile.a_parquet_dictionary(20_000_000, 100), 0, "broken_parquet"),
    (
        "a broken footer",
        hostile.parquet(["x"])[:-100] + b"\xff" * 92 + b"\x10\0\0\0PAR1",
        0,
        "broken_parquet",
    ),
]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ingestion.checkout.LONGEST_PARSE_S", 0.5)


def ingest(session: Session, content: bytes, name: str = "source") -> Run:
    """Upload it, and do the job to its end."""
    person = make_person(session)
    run = service.start_ingest_of_upload(
        session, make_project(session), io.BytesIO(content), name, AUTO, None, person
    )
    for _ in service.ingest(session, run):
        session.commit()
    return run


def done(session: Session, run: Run) -> dict[str, int]:
    return progress_of(session, run).done


@pytest.mark.parametrize(("content", "rows", "rule"), [one[1:] for one in ENDS], ids=[one[0] for one in ENDS])
def test_a_file_that_would_not_end_is_ended_with_a_rule_and_a_reason(
    session: Session, content: bytes, rows: int, rule: str
):
    run = ingest(session, content)

    found = done(session, run)
    assert (found.get("added", 0), found.get(rule)) == (rows, 1)
    (why,) = session.scalars(select(Rejection.why).where(Rejection.run_id == run.id, Rejection.rule == rule))
    assert len(why) > 10
    assert "Error" not in why
    if rule != "unreadable":  # that is one member's
        assert run.reason == f"source: {why}"
    assert READING_RULES[rule]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        *(
            (hostile.a_zip_with_the_coding(name), "bad_encoding")
            for name in ("undefined", "punycode", "rot13")
        ),
        *(
            (hostile.a_zip_with_the_coding(name), "bad_encoding")
            for name in ("idna", "hex", "unicode_escape")
        ),
        (hostile.a_tar_with("GNU.sparse.realsize", "1" * 30), "file_too_large"),
        (hostile.a_zip_over_which_a_parser_hangs(), "hanging_parser"),
    ],
)
def test_one_bad_member_costs_itself_only(session: Session, content: bytes, rule: str):
    run = ingest(session, content)

    assert done(session, run) == {"added": 1, "duplicate": 1, rule: 1}
    odd = session.scalars(select(Rejection).where(Rejection.run_id == run.id, Rejection.rule == rule)).one()
    assert odd.file.startswith("odd.")


@pytest.mark.parametrize("name", ["latin-1", "cp1251", "shift_jis", "koi8-r", "gb18030", "utf-8"])
def test_encodings_that_people_write_in_are_read(tmp_path: Path, name: str):
    path = written(tmp_path, hostile.a_zip_with_the_coding(name), "a.zip")

    assert not [
        one for one in read_source(path, "a.zip", format_of(path, "a.zip"), None) if isinstance(one, Refusal)
    ]


def test_entries_of_any_kind_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.ingestion.archives.MOST_ENTRIES", 100)
    path = written(tmp_path, hostile.tar(hostile.header("d", kind=tarfile.DIRTYPE) * 101), "a.tar")

    (found,) = read_source(path, "a.tar", format_of(path, "a.tar"), None)

    assert isinstance(found, Refusal)
    assert (found.rule, found.why) == ("too_many_files", "reading stopped at 101 files, folders and links")


def test_rows_are_read_at_every_depth_of_nesting(session: Session):
    levels = range(960, 1010)
    lines = b"\n".join([json.dumps(csn_row()).encode(), *map(hostile.nested, levels)])

    found = done(session, ingest(session, lines, "rows.jsonl"))

    assert found["added"] == 1
    assert sum(found.values()) == 1 + len(levels)


# --- the process that reads -------------------------------------------------------------------------------


def test_what_was_read_before_a_reader_hangs_dies_or_fails_is_kept():
    def things(how: str) -> Iterator[int]:
        yield from range(3)
        match how:
            case "hangs":
                time.sleep(600)
            case "dies":
                os.kill(os.getpid(), 9)
            case "fails":
                raise ZeroDivisionError("of all things")
            case _:
                bytearray(2 * confined.MOST_MEMORY)

    endings: dict[str, tuple[list[int], str]] = {}
    for how in ("hangs", "dies", "fails", "takes"):
        kept: list[int] = []
        with (
            Reading(lambda how=how: things(how), still_s=0.2) as reading,
            pytest.raises(ReadingStopped) as stopped,
        ):
            kept.extend(chain.from_iterable(reading.steps()))
        endings[how] = (kept, str(stopped.value))

    assert [kept for kept, _ in endings.values()] == [[0, 1, 2]] * 4
    assert endings["hangs"][1] == "nothing came out of it for 0 seconds"
    assert "signal 9" in endings["dies"][1]
    assert endings["fails"][1] == "a reader failed over it (ZeroDivisionError: of all things)"
    assert endings["takes"][1] == "reading it takes more than 1,024 MB of memory"


def test_whoever_stops_waiting_ends_the_reader():
    with Reading(lambda: iter(range(10**12))) as reading:
        assert next(reading.steps())[:2] == [0, 1]

    assert reading._child.wait() == -9  # pyright: ignore[reportPrivateUsage]


def test_a_reading_that_was_ended_is_counted_and_is_the_reason_of_its_run(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def three_and_no_more(*_: object) -> Iterator[Any]:
        yield from read_source(path, "rows", format_of(path, "rows"), None)
        os.kill(os.getpid(), 9)

    path = written(tmp_path, jsonl([csn_row()]))
    monkeypatch.setattr(service, "read_source", three_and_no_more)
    run = service.start_ingest(session, make_project(session), path, AUTO, None, None)
    for _ in service.ingest(session, run):
        session.commit()

    assert done(session, run) == {"added": 1, "reading_stopped": 1}
    assert (run.reason or "").startswith(
        "rows.jsonl: after outcome 1: the process that read it was ended by signal 9"
    )


def test_an_honest_parquet_file_is_read_within_the_limit_by_a_process_that_never_read_one(tmp_path: Path):
    """Arrow takes a gigabyte at its first use unless it is told not to; here it was used already."""
    path = written(
        tmp_path, hostile.parquet([f"def f{number}(): return 1" for number in range(700)]), "a.parquet"
    )
    script = (
        "from pathlib import Path; from app.ingestion.confined import Reading;"
        "from app.ingestion.readers import Format, read_source;"
        f"path = Path({str(path)!r}); read = lambda: read_source(path, 'a', Format.PARQUET, None);"
        "reading = Reading(read); print(*(type(one).__name__ for step in reading.steps() for one in step))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert ended.stdout.split() == ["Row"] * 700


# --- recognising ------------------------------------------------------------------------------------------


def test_a_format_is_looked_for_in_the_first_megabyte_only(session: Session, tmp_path: Path):
    blanks = hostile.packed(b"[" + b" " * 50_000_000 + json.dumps(alpaca_row()).encode() + b"]")
    path = written(tmp_path, blanks, "set.json")

    assert not first_records(path, "set.json", 50).is_whole
    run = importing.start_import(session, make_project(session), path, Asked(), None)
    with pytest.raises(InvalidInput, match="no record that could be read"):
        list(importing.import_set(session, run))


def test_a_first_record_longer_than_that_is_recognised_by_the_worker(session: Session, tmp_path: Path):
    row = alpaca_row(remark="x" * 1_500_000)
    run = importing.start_import(
        session, make_project(session), written(tmp_path, jsonl([row])), Asked(), None
    )
    assert run.params["format"] == AUTO

    for _ in importing.import_set(session, run):
        session.commit()

    assert done(session, run) == {"added": 1}


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a\nb.jsonl", "a\0b.jsonl", "..", "/", "x" * 300 + ".jsonl", "caf\udce9.jsonl"]
)
def test_odd_names_of_uploads_are_shown_on_one_line_of_200_characters(session: Session, name: str):
    run = ingest(session, jsonl([csn_row()]), name)

    shown = run.params["source"]
    assert (len(shown) <= 200, shown.isprintable()) == (True, True)
    assert done(session, run) == {"added": 1}


def test_a_name_in_bytes_is_taken_over_rest(session: Session, client: TestClient, script_of: Any):
    project = make_project(session)
    script = script_of(make_person(session, role=Role.ADMIN))
    content = b"\r\n".join(
        [
            b"--x",
            b'Content-Disposition: form-data; name="file"; filename="caf\xe9\xff.jsonl"',
            b"",
            jsonl([csn_row()]),
            b"--x--",
            b"",
        ]
    )

    for kind in ("sources", "imports"):
        answer = script.post(
            f"/api/v1/projects/{project.slug}/{kind}",
            content=content,
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
        assert answer.status_code in (202, 422), answer.text


@pytest.mark.parametrize("start", [service.start_ingest, importing.start_import])
def test_a_path_that_is_no_text_is_refused_in_one_sentence(session: Session, tmp_path: Path, start: Any):
    path = Path(hostile.not_utf8(bytes(tmp_path)))
    path.write_bytes(jsonl([alpaca_row()]))
    asked = (AUTO, None) if start is service.start_ingest else (Asked(),)

    with pytest.raises(InvalidInput, match="its path is not UTF-8"):
        start(session, make_project(session), path, *asked, None)


def test_names_in_folders_that_are_no_text_are_refused_one_by_one(tmp_path: Path):
    (tmp_path / "good.py").write_bytes(hostile.GOOD)
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.py")).write_bytes(hostile.GOOD)

    outcomes = list(read_source(tmp_path, "checkout", format_of(tmp_path, "checkout"), None))

    assert [one.rule if isinstance(one, Refusal) else "row" for one in outcomes] == ["hostile_name", "row"]
