"""What was imported goes into releases like everything else, with the licence and the name of its set."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.export import service
from app.export.service import Wanted, build_release, start_release
from app.ingestion import importing
from app.ingestion.importing import Asked
from app.pipeline import InstanceStatus
from app.settings import settings
from app.storage.tables import Instance, Project
from tests.factories import make_project
from tests.ingestion.rows import jsonl
from tests.ingestion.sets import alpaca_row, codeocean_row


@pytest.fixture(autouse=True)
def files_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FILES_DIR", str(tmp_path))
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def bring(session: Session, project: Project, path: Path, rows: list[dict[str, Any]], license_: str | None):
    """Import rows as a file, and accept every one of them."""
    path.write_bytes(jsonl(rows))
    run = importing.start_import(session, project, path, Asked(license=license_), None)
    for _ in importing.import_set(session, run):
        session.flush()
    session.execute(update(Instance).where(Instance.run_id == run.id).values(status=InstanceStatus.ACCEPTED))


def build(session: Session, project: Project, wanted: Wanted) -> Path:
    run = start_release(session, project, wanted, None)
    for _ in build_release(session, run):
        session.flush()
    return service.folder_of(project, service.queries.release_of_run(session, run.id))


def rows_of(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"codeocean.{split}.jsonl").read_text().splitlines()]


def test_a_released_row_names_its_set_and_the_licence_of_the_set(
    session: Session, project: Project, tmp_path: Path
) -> None:
    bring(session, project, tmp_path / "ours.jsonl", [alpaca_row(1)], "CC-BY-4.0")

    (row,) = rows_of(build(session, project, Wanted("first")))

    assert row["source"] == {
        "repo": "ours.jsonl",
        "path": None,
        "sha": None,
        "url": None,
        "license": "CC-BY-4.0",
        "snippet_hash": None,
    }
    assert (row["generator"], row["discriminator"], row["decision"]) == ("imported", "", "accept")


def test_a_row_that_names_its_own_source_keeps_it(session: Session, project: Project, tmp_path: Path) -> None:
    bring(session, project, tmp_path / "ours.jsonl", [codeocean_row()], "CC-BY-4.0")

    (row,) = rows_of(build(session, project, Wanted("first")))

    assert row["source"] == codeocean_row()["source"]


def test_the_gate_of_unknown_licences_is_about_raw_code(
    session: Session, project: Project, tmp_path: Path
) -> None:
    bring(session, project, tmp_path / "ours.jsonl", [alpaca_row(1)], None)

    folder = build(session, project, Wanted("first"))

    assert rows_of(folder)[0]["source"]["license"] is None
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["gates"]["unknown_license"] == {"mode": "block", "found": 0, "removed": 0}


def test_the_card_credits_the_sets(session: Session, project: Project, tmp_path: Path) -> None:
    bring(session, project, tmp_path / "ours.jsonl", [alpaca_row(1), alpaca_row(2)], "CC0-1.0")
    bring(session, project, tmp_path / "theirs.jsonl", [codeocean_row()], None)

    card = (build(session, project, Wanted("first")) / "README.md").read_text()

    assert "| CC0-1.0 | imported: ours.jsonl | 2 |" in card
    assert "| MIT | imported: theirs.jsonl, owner/numbers | 1 |" in card
    assert "* discriminator: none (imported)" in card


def test_a_set_does_not_fall_into_one_split_as_a_whole(
    session: Session, project: Project, tmp_path: Path
) -> None:
    bring(session, project, tmp_path / "ours.jsonl", [alpaca_row(n) for n in range(60)], "MIT")

    folder = build(session, project, Wanted("first", splits={"train": 0.5, "test": 0.5}))

    assert min(len(rows_of(folder, split)) for split in ("train", "test")) > 10


def test_languages_that_nobody_could_tell_are_a_choice_like_others(
    session: Session, project: Project, tmp_path: Path
) -> None:
    bring(session, project, tmp_path / "ours.jsonl", [alpaca_row(1), alpaca_row(2, language="rust")], "MIT")
    assert set(session.scalars(select(Instance.language))) == {"python", "other"}

    (row,) = rows_of(build(session, project, Wanted("first", filters={"languages": ["other"]})))

    assert row["language"] == "other"
