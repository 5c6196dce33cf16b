"""Whoever wrote a folder, `verify` ends with sentences: nothing crashes it, and nothing that is claimed changes unseen."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.export.formats import CARD, CERTIFICATE, MANIFEST
from app.export.report import record
from app.export.verify import verify
from app.export.writing import sealed, sha256_of, write_json
from app.guarantee.certificate import LOT_FILE
from app.guarantee.lot import hash_without
from tests.export.folders import describe, edit_manifest

ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    float("nan"),
    10**400,
    "7",
    "",
    "\N{SNOWMAN}\n\x1b[2J",
    [],
    [[]],
    {},
    {"a": {}},
]
SHOWN = 2  # entries of each list that are changed: the others are like them
SAYS_NOTHING = {  # what nothing else depends on: it stands under the file's own hash
    (CERTIFICATE, "frozen_at"),
    (CERTIFICATE, "code_version"),
    (MANIFEST, "created_at"),
    (MANIFEST, "name"),
    (MANIFEST, "gates"),
    (MANIFEST, "funnel"),
}


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value, objects and lists themselves, too."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places_in(value[key], (*path, key))
    elif isinstance(value, list):
        for place in range(min(SHOWN, len(value))):
            yield from places_in(value[place], (*path, place))


def changed(value: Any, path: tuple[Any, ...], into: Any) -> Any:
    copy = json.loads(json.dumps(value))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = into
    return copy


def check(folder: Path) -> list[str]:
    """What verify says, in the shape for scripts, too. Raises what it raises."""
    found = verify(folder)
    json.dumps(record(found))
    assert all("\n" not in one for one in found.problems)
    return found.problems


def of_each_kind(places: Iterator[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """One place of each shape: `draws[0].id` stands for `draws[1].id`."""
    kinds = {tuple("#" if isinstance(key, int) else key for key in path): path for path in places}
    return list(kinds.values())


def odd_values(number: int) -> list[Any]:
    """One for each place, another for the next; TRY_EVERYTHING=1 tries all of them everywhere."""
    return ODD if os.environ.get("TRY_EVERYTHING") else [ODD[number % len(ODD)]]


def test_no_field_of_a_certificate_can_be_changed_unseen_though_every_hash_is_made_anew(
    release: Path,
) -> None:
    made = json.loads((release / CERTIFICATE).read_text())
    about = json.loads((release / MANIFEST).read_text())
    lines = (release / MANIFEST).read_bytes()
    unseen: list[Any] = []
    for number, path in enumerate(of_each_kind(places_in(made))):
        for into in odd_values(number):
            other = changed(made, path, into)
            if path != ("sha256",):
                other["sha256"] = hash_without(other, "sha256")
            write_json(release / CERTIFICATE, other)
            _list_anew(release, about)
            is_free = (CERTIFICATE, path[0]) in SAYS_NOTHING and isinstance(into, str)
            if not check(release) and not is_free and other != made:
                unseen.append((path, into))
    (release / MANIFEST).write_bytes(lines)

    assert unseen == []


def test_no_field_of_a_manifest_can_be_changed_unseen_though_it_is_sealed_anew(release: Path) -> None:
    about = json.loads((release / MANIFEST).read_text())
    unseen: list[Any] = []
    for number, path in enumerate(of_each_kind(places_in(about))):
        for into in odd_values(number):
            other = changed(about, path, into)
            write_json(release / MANIFEST, other if path == ("self_sha256",) else sealed(other))
            if not check(release) and (MANIFEST, path[0]) not in SAYS_NOTHING and other != about:
                unseen.append((path, into))

    assert unseen == []


def _list_anew(folder: Path, about: dict[str, Any]) -> None:
    """A manifest that knows the certificate as it is now, by size and hash."""
    files = [
        one | {"bytes": (folder / CERTIFICATE).stat().st_size, "sha256": sha256_of(folder / CERTIFICATE)}
        if one["name"] == CERTIFICATE
        else one
        for one in about["files"]
    ]
    write_json(folder / MANIFEST, sealed(about | {"files": files}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda about: about["audit"].update(accepted=1), "audit.accepted is 1, the rest gives"),
        (lambda about: about["audit"].pop("readers"), "audit.readers is missing"),
        (lambda about: about.update(audit="not audited"), "audit is 'not audited'"),
        (lambda about: about["certificate"].update(sha256="0" * 64), "certificate.sha256 is"),
        (lambda about: about.pop("certificate"), "certificate is None"),
        (lambda about: about["funnel"].update(released=1), "funnel.released is 1, and rows is 302"),
        (
            lambda about: about["funnel"].update(instances=1),
            "funnel.instances is 1, and by status they are 9",
        ),
        (lambda about: about["gates"]["exact_duplicate"].update(removed=3), "of 2 rows found 3 are removed"),
        (
            lambda about: about["gates"]["exact_duplicate"].update(mode="admit"),
            "admits, and of 2 rows found 1",
        ),
        (lambda about: about.update(project="other"), "is not of the project other"),
        (lambda about: about.pop("self_sha256"), "self_sha256 is missing"),
        (
            lambda about: about["files"][-1].update(rows=4),
            "certificate.json is listed as certificate of 4 rows",
        ),
    ],
)
def test_what_follows_from_the_certificate_or_from_the_rows_is_compared(
    release: Path,
    change: Callable[[dict[str, Any]], object],
    says: str,
) -> None:
    edit_manifest(release, change, seal=False)
    about = json.loads((release / MANIFEST).read_text())
    if "self_sha256" in about:
        write_json(release / MANIFEST, sealed(about))

    assert any(says in one for one in check(release))


def test_a_split_that_was_emptied_is_noticed(unaudited: Path) -> None:
    (unaudited / "codeocean.test.jsonl").write_bytes(b"")
    assert any("codeocean.test.jsonl has 0 bytes" in one for one in check(unaudited))

    describe(unaudited, "people")
    edit_manifest(unaudited, lambda about: about["splits"].update(test=1) or about.update(rows=5))

    assert "codeocean.test.jsonl has 0 rows, the split 1" in check(unaudited)


def test_a_release_of_a_version_without_a_hash_of_the_manifest_is_checked_and_says_so(
    unaudited: Path,
) -> None:
    about = json.loads((unaudited / MANIFEST).read_text())
    write_json(unaudited / MANIFEST, {name: one for name, one in about.items() if name != "self_sha256"})

    said = CliRunner().invoke(cli, ["verify", str(unaudited)])

    assert said.exit_code == 0
    assert "its manifest has no hash of its own" in said.stdout


def no_json(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b'{"a":' * 5000)


def a_folder(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()


def a_pipe(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)


def a_link_to_nowhere(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to("/nowhere/at/all")


def a_device(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")


def rubbish(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"PAR1" + bytes(range(256)) * 3)


NAMES = (
    MANIFEST,
    CERTIFICATE,
    LOT_FILE,
    CARD,
    "codeocean.train.jsonl",
    "train.parquet",
    "alpaca.train.jsonl",
)


@pytest.mark.parametrize("become", [no_json, a_folder, a_pipe, a_link_to_nowhere, a_device, rubbish])
def test_whatever_lies_where_a_file_should_be_is_named(audited: Path, tmp_path: Path, become: Any) -> None:
    for name in NAMES:
        folder = Path(shutil.copytree(audited, tmp_path / name.replace(".", "-")))
        become(folder, name)

        assert any(one.startswith(name) for one in check(folder)), name


def test_a_broken_parquet_file_that_is_listed_as_it_is_is_named(unaudited: Path) -> None:
    rubbish(unaudited, "train.parquet")
    describe(unaudited, "people")

    (found,) = check(unaudited)
    assert found.startswith("train.parquet ")


def test_names_that_are_no_text_and_signs_that_move_the_terminal_are_shown_harmlessly(
    unaudited: Path,
) -> None:
    Path(os.fsdecode(bytes(unaudited) + b"/caf\xe9\x1b[2J.txt")).write_bytes(b"")

    said = CliRunner().invoke(cli, ["verify", str(unaudited)])

    assert said.exit_code == 1
    assert len(said.stdout.splitlines()) == 2
    assert "\x1b" not in said.stdout
