"""A release is verified from its files alone: whatever is changed, added or missing is named."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.export.formats import (
    CARD,
    CERTIFICATE,
    CODEOCEAN,
    DERIVED,
    MANIFEST,
    PARQUET,
    file_name,
)
from app.export.report import paragraph
from app.export.verify import verify
from app.export.writing import (
    derive,
    write_json,
)
from app.guarantee.certificate import LOT_FILE
from app.guarantee.lot import hash_without
from app.rows.codeocean import row_hash
from tests.export.folders import SPLITS, describe, edit_manifest

BYTES_TRIED = 12  # of each file, from its first to its last


def problems(folder: Path) -> list[str]:
    return verify(folder).problems


def edit_rows(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change rows of the first split, each with its own hash made anew, and everything that is derived from them."""
    path = folder / file_name(CODEOCEAN, SPLITS[0])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    rows = [{**one, "hash": row_hash(one)} for one in rows]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    for format_ in (PARQUET, "alpaca"):
        derive(folder, format_, SPLITS[0])
    about = json.loads((folder / MANIFEST).read_text())
    describe(folder, about["basis"])


# --- what is right ----------------------------------------------------------------------------------------


def test_a_folder_copied_elsewhere_is_verified_and_says_what_it_claims(release: Path) -> None:
    found = verify(release)

    assert found.problems == []
    assert found.certificate is not None
    assert found.certificate["claim"] in paragraph(found)
    assert found.certificate["second_line"] in paragraph(found)
    assert (
        "second readings of 46 rows found 1 defect, of which the first ones had missed 1: nothing"
        in paragraph(found)
    )


def test_a_release_without_an_audit_says_so(unaudited: Path) -> None:
    found = verify(unaudited)

    assert found.problems == []
    assert "5 rows (train 4, test 1) in 7 files" in paragraph(found)
    assert "not audited: nothing is claimed" in paragraph(found)


def test_formats_that_were_derived_on_request_may_lie_there_if_they_are_made_from_the_rows(
    release: Path,
) -> None:
    for format_ in DERIVED:
        derive(release, format_, "test")
    assert problems(release) == []

    (release / "messages.test.jsonl").write_bytes(b"{}\n")

    assert problems(release) == ["messages.test.jsonl does not follow from codeocean.test.jsonl"]


# --- what is found ----------------------------------------------------------------------------------------


def test_a_change_of_any_byte_of_a_file_is_found(release: Path) -> None:
    unnoticed: list[str] = []
    for path in sorted(release.iterdir()):
        content = path.read_bytes()
        if path.name == MANIFEST:  # its fields are what counts: see the next test
            continue
        for place in sorted({len(content) * part // BYTES_TRIED for part in range(BYTES_TRIED)}):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            if not any(one.startswith(path.name) for one in problems(release)):
                unnoticed.append(f"{path.name}: {place}")
        path.write_bytes(content)

    assert unnoticed == []
    assert problems(release) == []


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths_in(value[key], (*path, key))
    else:
        yield path


def test_a_change_of_any_field_of_the_manifest_is_found(release: Path) -> None:
    manifest = json.loads((release / MANIFEST).read_text())
    unnoticed: list[tuple[Any, ...]] = []
    for path in paths_in(manifest):
        changed = json.loads(json.dumps(manifest))
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = f"{place[path[-1]]}x" if isinstance(place[path[-1]], str) else 7
        write_json(release / MANIFEST, changed)
        if not problems(release):
            unnoticed.append(path)

    assert unnoticed == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda manifest: manifest.update(rows=9), "manifest.json: rows is 9, and the splits have"),
        (lambda manifest: manifest["splits"].update(test=3), "codeocean.test.jsonl has 60 rows, the split 3"),
        (lambda manifest: manifest.update(sha256="0" * 64), "sha256 does not follow from the rows"),
        (
            lambda manifest: manifest.update(basis="people"),
            "certificate.json is listed, and the basis is people",
        ),
        (lambda manifest: manifest["files"].pop(), "certificate.json is not listed"),
        (
            lambda manifest: manifest["files"].append(manifest["files"][0]),
            "codeocean.train.jsonl is listed twice",
        ),
        (
            lambda manifest: manifest["files"][0].update(name="../train"),
            "'../train' is listed, which is no name",
        ),
        (lambda manifest: manifest["files"][0].update(rows=1), "codeocean.train.jsonl is listed with 1 rows"),
        (lambda manifest: manifest["files"][0].update(bytes="9"), "manifest.json: files.0.bytes"),
        (lambda manifest: manifest.pop("splits"), "manifest.json: splits"),
        (
            lambda manifest: manifest["certificate"].update(claim="All is well."),
            "certificate.claim is 'All is well.'",
        ),
    ],
)
def test_a_manifest_that_was_sealed_anew_does_not_hide_what_the_files_say(
    release: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    edit_manifest(release, change)

    assert any(says in one for one in problems(release))


def test_what_is_missing_and_what_lies_there_unlisted_is_named(release: Path) -> None:
    (release / "alpaca.test.jsonl").unlink()
    (release / "more.parquet").write_bytes(b"PAR1")
    (release / "data").mkdir()

    assert problems(release) == [
        "alpaca.test.jsonl is missing",
        "data is in the folder, but not listed in manifest.json",
        "more.parquet is in the folder, but not listed in manifest.json",
    ]


def test_a_parquet_file_with_other_rows_is_found_though_the_manifest_lists_it(release: Path) -> None:
    path = release / "train.parquet"
    path.write_bytes((release / "test.parquet").read_bytes())
    describe(release, "audited")

    assert problems(release) == ["train.parquet does not follow from codeocean.train.jsonl"]


def test_a_row_is_named_by_its_line_and_what_is_wrong_with_it(unaudited: Path) -> None:
    path = unaudited / "codeocean.train.jsonl"
    lines = path.read_text().splitlines()
    swapped = lines[0].replace("Write number 1", "Write number 9")
    path.write_text(
        "\n".join([swapped, lines[1], lines[1], '{"id": "demo-4"}', "{", '{"a": 1, "a": 2}']) + "\n"
    )

    found = problems(unaudited)

    assert found[1:] == [
        "codeocean.train.jsonl line 1: row demo-1 differs from its hash",
        "codeocean.train.jsonl line 3: row demo-2 is in the release twice",
        found[3],
        found[4],
        "codeocean.train.jsonl line 6: it cannot be read: a key is repeated",
        "codeocean.train.jsonl has 6 rows, the split 4",
    ]
    assert found[3].startswith("codeocean.train.jsonl line 4: it is no codeocean row: schema_version, task")
    assert found[4].startswith("codeocean.train.jsonl line 5: it cannot be read")


def test_rows_that_were_changed_after_the_freeze_are_found_though_every_hash_was_made_anew(
    release: Path,
) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        undrawn = next(one for one in rows if one["decision"] == "undrawn")
        undrawn["solution"] = "return 3"

    edit_rows(release, change)

    (found,) = problems(release)
    assert found.endswith("differs from what was frozen")


def test_a_certificate_that_was_changed_is_found_though_every_hash_was_made_anew(release: Path) -> None:
    path = release / CERTIFICATE
    made = json.loads(path.read_text())
    made["upper_bound"] = 0
    write_json(path, made | {"sha256": hash_without(made, "sha256")})
    describe(release, "audited")

    assert any(
        one.startswith("certificate.json: upper_bound is 0, the rest gives") for one in problems(release)
    )


def test_a_lot_in_another_order_is_not_the_one_that_was_logged(release: Path) -> None:
    path = release / LOT_FILE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[::-1]))
    describe(release, "audited")

    assert problems(release) == ["lot.jsonl is not written as lots are: a line for each row, by id"]


@pytest.mark.parametrize(
    ("name", "content"),
    [(CERTIFICATE, "[]"), (CERTIFICATE, "{"), (LOT_FILE, '{"id": 3}\n'), (LOT_FILE, "3\n")],
)
def test_a_certificate_or_a_lot_that_cannot_be_read_is_a_problem(
    release: Path, name: str, content: str
) -> None:
    (release / name).write_text(content)
    describe(release, "audited")

    (found,) = problems(release)
    assert "the certificate or the lot cannot be read" in found


# --- the command ------------------------------------------------------------------------------------------


def test_the_command_prints_one_paragraph_and_with_json_one_object(release: Path) -> None:
    said = CliRunner().invoke(cli, ["verify", str(release)])
    for_scripts = CliRunner().invoke(cli, ["verify", str(release), "--json"])

    assert (said.exit_code, for_scripts.exit_code) == (0, 0)
    assert len(said.stdout.splitlines()) == 1
    assert said.stdout.startswith("Release first is what it says: 302 rows")
    found = json.loads(for_scripts.stdout)
    assert (found["ok"], found["audited"], found["problems"], found["rows"]) == (True, True, [], 302)


def test_the_command_names_each_problem_and_fails(release: Path) -> None:
    (release / CARD).write_text("# Another release\n")
    (release / LOT_FILE).unlink()

    said = CliRunner().invoke(cli, ["verify", str(release)])
    for_scripts = CliRunner().invoke(cli, ["verify", str(release), "--json"])

    assert (said.exit_code, for_scripts.exit_code) == (1, 1)
    assert "is not what it says: 3 problems" in said.stdout
    assert "* README.md has 18 bytes, not 12" in said.stdout
    assert "* lot.jsonl is missing" in said.stdout
    assert json.loads(for_scripts.stdout)["audited"] is False


def test_a_folder_that_is_no_release_is_said_to_be_none(tmp_path: Path) -> None:
    empty = CliRunner().invoke(cli, ["verify", str(tmp_path)])
    nowhere = CliRunner().invoke(cli, ["verify", str(tmp_path / "nowhere")])

    assert (empty.exit_code, nowhere.exit_code) == (1, 2)
    assert "manifest.json cannot be read" in empty.stdout
