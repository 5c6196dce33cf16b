"""Folders of releases, written without a database."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.export.formats import ALWAYS_BUILT, CARD, CERTIFICATE, CODEOCEAN, MANIFEST, file_name
from app.export.quoting import quoted, summary
from app.export.writing import CodeoceanWriter, derive, described, release_hash, rows_of, sealed, write_json
from app.guarantee.certificate import LOT_FILE
from app.rows.codeocean import Row

SPLITS = ("train", "test")
FORMATS = (*ALWAYS_BUILT, "alpaca")


def write_rows(folder: Path, rows: list[Row]) -> None:
    """A fifth of them in the second split."""
    writer = CodeoceanWriter(folder, list(SPLITS))
    for number, one in enumerate(rows):
        writer.write(SPLITS[number % 5 == 4], one)
    writer.close()
    for split in SPLITS:
        for format_ in FORMATS:
            if format_ != CODEOCEAN:
                derive(folder, format_, split)
    (folder / CARD).write_text("# A release\n")


def describe(folder: Path, basis: str, **more: Any) -> None:
    """A manifest of what lies in the folder now."""
    rows = {split: (folder / file_name(CODEOCEAN, split)).read_bytes().count(b"\n") for split in SPLITS}
    files = [
        described(folder / file_name(format_, split), format_, split, rows[split])
        for format_ in FORMATS
        for split in SPLITS
    ]
    files += [described(folder / CARD, "card", None, 0)]
    if basis == "audited":
        files += [
            described(folder / LOT_FILE, "lot", None, 304),
            described(folder / CERTIFICATE, "certificate", None, 0),
        ]
    manifest = {
        "name": "first",
        "schema_version": 1,
        "created_at": "2026-11-27T12:00:00+00:00",
        "basis": basis,
        "rows": sum(rows.values()),
        "splits": rows,
        "files": [one._asdict() for one in files],
        "sha256": release_hash(folder, list(SPLITS)),
        "audit": "not audited",
        "gates": {
            "secrets": "not checked",
            "exact_duplicate": {"mode": "block", "found": 2, "removed": 1},
        },
        "funnel": {"snippets": 19, "picked": 18, "instances": 9, "accepted": 5, "waiting": 4}
        | {"released": sum(rows.values())},
        **more,
    }
    if basis == "audited":
        with suppress(ValueError, TypeError):  # a test broke it
            made = json.loads((folder / CERTIFICATE).read_text())
            decisions = [
                row["decision"] for split in SPLITS for row in rows_of(folder / file_name(CODEOCEAN, split))
            ]
            manifest |= {"audit": summary(made, decisions), "certificate": quoted(made)}
    write_json(folder / MANIFEST, sealed(manifest))


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object], *, seal: bool = True) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    write_json(folder / MANIFEST, sealed(manifest) if seal else manifest)
