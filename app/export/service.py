"""Asking for a release, and the job that builds it. Nothing of it changes once it is there."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.engine.runs import count_rows, open_run
from app.errors import Conflict, InvalidInput, NotFound
from app.export import queries
from app.export.card import card
from app.export.formats import (
    ALWAYS_BUILT,
    CARD,
    CODEOCEAN,
    DERIVED,
    FORMATS,
    MANIFEST,
    file_name,
    parsed_file_name,
)
from app.export.split import Placed, assign
from app.export.writing import CodeoceanWriter, Written, derive, described, release_hash, sealed, write_json
from app.pipeline import InstanceStatus, RunKind, RunState
from app.rows.asked import checked_filters, checked_gates
from app.rows.codeocean import SCHEMA_VERSION, codeocean
from app.rows.gates import RELEASED, Candidate, Mode, Sorted, report, sort_out
from app.settings import settings
from app.storage.rows import admitted_rows, candidates
from app.storage.tables import Person, Project, Release, Run

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SPLIT = re.compile(r"[A-Za-z0-9_]{1,40}")


class Wanted(NamedTuple):
    """What a release should be. Empty values mean: everything people accepted, the default gates, one split."""

    name: str
    basis: str = "people"
    filters: Mapping[str, Sequence[str]] = {}
    gates: Mapping[str, str] = {}
    splits: Mapping[str, float] = {}
    formats: Sequence[str] = ()


def start_release(session: Session, project: Project, wanted: Wanted, person: Person | None) -> Run:
    """Start building a release.

    Raises InvalidInput naming the field, and Conflict when the name is taken or nothing would be in it.
    """
    request = _checked(wanted)
    _free_name(session, project, wanted.name)
    if not preview(session, project, request).admitted:
        raise Conflict(
            "nothing would be in this release: no instance is accepted or edited that its filters and gates let through"
        )
    person_id = person.id if person else None
    run = open_run(session, project.id, person_id, RunKind.RELEASE, {"name": wanted.name, **request})
    session.add(
        Release(project_id=project.id, run_id=run.id, name=wanted.name, basis=wanted.basis, request=request)
    )
    log(session, person_id, "release started", f"release {wanted.name}", request, project_id=project.id)
    session.flush()
    return run


def preview(session: Session, project: Project, request: Mapping[str, Any]) -> Sorted:
    """What the gates would let through now."""
    modes = {gate: Mode(mode) for gate, mode in request["gates"].items()}
    accepted = candidates(session, project.id, [InstanceStatus.ACCEPTED], request["filters"])
    return sort_out(accepted, modes)


def default_request() -> dict[str, Any]:
    return _checked(Wanted("preview"))


def build_release(session: Session, run: Run) -> Iterator[None]:
    """The job: write the files into a folder of their own, then move it into place as a whole.

    A crash leaves a folder that nobody looks at; the next try starts over and gives the same bytes.
    """
    release = queries.release_of_run(session, run.id)
    project = session.get_one(Project, run.project_id)
    sorted_out = preview(session, project, release.request)
    run.total = len(sorted_out.admitted) + sum(sorted_out.removed.values())
    yield
    building = _releases_folder() / f".building-{run.id}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    yield from _write_rows(session, project, release, sorted_out.admitted, building)
    _write_description(session, project, release, sorted_out, building)
    folder = folder_of(project, release)
    shutil.rmtree(folder, ignore_errors=True)  # of a try that crashed after the move and before its commit
    folder.parent.mkdir(parents=True, exist_ok=True)
    building.rename(folder)
    count_rows(session, run, {RELEASED: len(sorted_out.admitted)} | dict(sorted_out.removed))


def folder_of(project: Project, release: Release) -> Path:
    return _releases_folder() / project.slug / release.name


def manifest_of(session: Session, project: Project, name: str) -> dict[str, Any]:
    """Raises NotFound, and Conflict while it is being built."""
    release, run = queries.release_named(session, project.id, name)
    return _manifest(release, run)


def file_of(session: Session, project: Project, name: str, file: str) -> Path:
    """A file of a release. Another format of its rows is made when it is first asked for, and then kept."""
    release, run = queries.release_named(session, project.id, name)
    manifest = _manifest(release, run)
    folder = folder_of(project, release)
    known = {one["name"] for one in manifest["files"]} | {MANIFEST}
    asked = parsed_file_name(file)
    derivable = asked is not None and asked[0] in DERIVED and asked[1] in manifest["splits"]
    if file not in known and not derivable:
        raise NotFound(f"release {name} has no file {file[:200]}; it has {', '.join(sorted(known))}")
    path = folder / file
    if asked is not None and derivable and not path.exists():
        derive(folder, *asked)
    if not path.exists():
        raise NotFound(f"{file} of release {name} is not below FILES_DIR any more")
    return path


def _manifest(release: Release, run: Run) -> dict[str, Any]:
    if release.manifest is None:
        raise Conflict(f"release {release.name} is not there yet: its run {run.id} is {run.state}")
    return release.manifest


def _releases_folder() -> Path:
    return settings().files / "releases"


# --- building ---------------------------------------------------------------------------------------------


def _write_rows(
    session: Session, project: Project, release: Release, chosen: Sequence[Candidate], folder: Path
) -> Iterator[None]:
    shares: dict[str, float] = release.request["splits"]
    splits = assign([Placed(one.repo, one.text_hash) for one in chosen], shares)
    writer = CodeoceanWriter(folder, list(shares))
    try:
        for split, admitted in zip(splits, admitted_rows(session, chosen), strict=True):
            writer.write(split, codeocean(project.slug, admitted))
    finally:
        writer.close()
    yield
    for format_ in release.request["formats"]:
        if format_ != CODEOCEAN:
            for split in shares:
                derive(folder, format_, split)
            yield
    release.rows = len(chosen)
    release.request = release.request | {"rows_by_split": writer.rows}


def _write_description(
    session: Session, project: Project, release: Release, sorted_out: Sorted, folder: Path
) -> None:
    """The card and the manifest, which names every file with its hash."""
    rows: dict[str, int] = release.request["rows_by_split"]
    files = [
        described(folder / file_name(format_, split), format_, split, rows[split])
        for format_ in release.request["formats"]
        for split in rows
    ]
    modes = {gate: Mode(mode) for gate, mode in release.request["gates"].items()}
    manifest: dict[str, Any] = {
        "name": release.name,
        "schema_version": SCHEMA_VERSION,
        "created_at": release.created_at.astimezone(UTC).isoformat(),
        "project": project.slug,
        "basis": release.basis,
        "audit": "not audited",
        "rows": len(sorted_out.admitted),
        "splits": rows,
        "files": [_as_dict(file) for file in files],
        "sha256": release_hash(folder, list(rows)),
        "filters": release.request["filters"],
        "gates": report(modes, sorted_out),
        "funnel": queries.funnel(session, project.id, len(sorted_out.admitted)),
    }
    (folder / CARD).write_text(card(manifest, queries.facts(session, project, sorted_out.admitted)))
    manifest["files"].append(_as_dict(described(folder / CARD, "card", None, 0)))
    manifest = sealed(manifest)
    write_json(folder / MANIFEST, manifest)
    release.manifest = manifest
    release.sha256 = manifest["sha256"]


def _as_dict(file: Written) -> dict[str, Any]:
    return file._asdict()


# --- what was asked ---------------------------------------------------------------------------------------


def _checked(wanted: Wanted) -> dict[str, Any]:
    if not _NAME.fullmatch(wanted.name) or wanted.name == "latest":
        raise InvalidInput(
            "a name has 1 to 100 letters, digits, dots, dashes and underscores, starts with a letter or digit, "
            "and is not “latest”",
            "name",
        )
    if wanted.basis == "audited":
        raise InvalidInput("releases on the basis of an audit are not there yet; use “people”", "basis")
    if wanted.basis != "people":
        raise InvalidInput(f"basis must be people or audited, not {wanted.basis[:50]!r}", "basis")
    return {
        "filters": checked_filters(wanted.filters),
        "gates": checked_gates(wanted.gates),
        "splits": _checked_splits(wanted.splits),
        "formats": _checked_formats(wanted.formats),
    }


def _checked_splits(splits: Mapping[str, float]) -> dict[str, float]:
    splits = splits or {"train": 1.0}
    if not all(_SPLIT.fullmatch(name) and 0 < share <= 1 for name, share in splits.items()):
        raise InvalidInput(
            "splits are names of letters, digits and underscores with shares above 0", "splits"
        )
    if abs(sum(splits.values()) - 1) > 1e-6:
        raise InvalidInput(f"the shares of the splits add up to {sum(splits.values()):g}, not to 1", "splits")
    return dict(splits)


def _checked_formats(formats: Sequence[str]) -> list[str]:
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise InvalidInput(
            f"formats are {', '.join(FORMATS)}; unknown: {', '.join(unknown)[:200]}", "formats"
        )
    return [name for name in FORMATS if name in formats or name in ALWAYS_BUILT]


def _free_name(session: Session, project: Project, name: str) -> None:
    """A name is taken by a release that is there or being built; one whose run ended without it lets go."""
    try:
        release, run = queries.release_named(session, project.id, name)
    except NotFound:
        return
    if run.state not in (RunState.FAILED, RunState.CANCELLED):
        raise Conflict(f"there is a release {name} already, and a release never changes: choose another name")
    session.delete(release)
    session.flush()
