"""Releases are built below a folder of the test's own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.export.writing import write_audit
from app.guarantee.certificate import certificate
from app.settings import settings
from tests.export.folders import describe, write_rows
from tests.guarantee.audits import Audit, row


@pytest.fixture(autouse=True)
def files_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FILES_DIR", str(tmp_path))
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of an audited lot. Tests change copies of it."""
    folder = tmp_path_factory.mktemp("audited")
    audit = Audit()
    made = certificate(audit.facts)
    write_rows(folder, audit.released())
    write_audit(folder, audit.lot, made)
    describe(folder, "audited")
    return folder


@pytest.fixture
def release(audited: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(audited, tmp_path / "elsewhere"))


@pytest.fixture
def unaudited(tmp_path: Path) -> Path:
    folder = tmp_path / "unaudited"
    folder.mkdir()
    write_rows(folder, [row(number, decision="accept") for number in range(1, 6)])
    describe(folder, "people")
    return folder
