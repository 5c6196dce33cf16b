"""Asking for a release, and the job that builds it. Nothing of it changes once it is there."""

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from app.accounts.log import log
from app.engine.runs import count_rows, open_run
from app.errors import Conflict, NotFound
from app.export import queries
from app.export.asking import AUDITED, Wanted, checked
from app.export.audited import Audited, audited, certified_audit
from app.export.card import card
from app.export.formats import (
    CARD,
    CODEOCEAN,
    DERIVED,
    MANIFEST,
    file_name,
    parsed_file_name,
)
from app.export.quoting import quoted, summary
from app.export.split import Placed, assign
from app.export.writing import (
    CodeoceanWriter,
    Written,
    derive,
    described,
    release_hash,
    sealed,
    write_audit,
    write_json,
)
from app.pipeline import InstanceStatus, RunKind, RunState
from app.rows.codeocean import SCHEMA_VERSION, Row, codeocean
from app.rows.gates import RELEASED, Candidate, Mode, Sorted, report, sort_out
from app.settings import settings
from app.storage.locks import lock_project
from app.storage.rows import admitted_rows, candidates
from app.storage.tables import Audit, Person, Project, Release, Run

REMOVED = "removed"  # rows of a lot: defects that nobody corrected, and withdrawn ones


class Content(NamedTuple):
    """What goes into a release, and what the manifest says about how it was chosen."""

    chosen: list[Candidate]
    filters: Mapping[str, Any]
    gates: Mapping[str, Any]
    left_out: Mapping[str, int]  # rows by reason
    audited: Audited | None = None


def start_release(session: Session, project: Project, wanted: Wanted, person: Person | None) -> Run:
    """Start building a release.

    Raises InvalidInput naming the field, and Conflict when the name is taken or nothing would be in it.
    """
    request = checked(wanted)
    lock_project(session, project.id)
    _free_name(session, project, wanted.name)
    audit_id: int | None = None
    if wanted.basis == AUDITED:
        audit_id = certified_audit(session, project.id, wanted.audit_id).id
        request["audit_id"] = audit_id
    elif not preview(session, project, request).admitted:
        raise Conflict(
            "nothing would be in this release: no instance is accepted or edited that its filters and gates let through"
        )
    person_id = person.id if person else None
    run = open_run(session, project.id, person_id, RunKind.RELEASE, {"name": wanted.name, **request})
    session.add(
        Release(
            project_id=project.id,
            run_id=run.id,
            name=wanted.name,
            basis=wanted.basis,
            audit_id=audit_id,
            request=request,
        )
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
    return checked(Wanted("preview"))


def build_release(session: Session, run: Run) -> Iterator[None]:
    """The job: write the files into a folder of their own, then move it into place as a whole.

    A crash leaves a folder that nobody looks at; the next try starts over and gives the same bytes.
    """
    release = queries.release_of_run(session, run.id)
    project = session.get_one(Project, run.project_id)
    content = _content(session, project, release)
    run.total = len(content.chosen) + sum(content.left_out.values())
    yield
    building = _releases_folder() / f".building-{run.id}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    yield from _write_rows(session, project, release, content, building)
    _write_description(session, project, release, content, building)
    folder = folder_of(project, release)
    shutil.rmtree(folder, ignore_errors=True)  # of a try that crashed after the move and before its commit
    folder.parent.mkdir(parents=True, exist_ok=True)
    building.rename(folder)
    count_rows(session, run, {RELEASED: len(content.chosen)} | dict(content.left_out))


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


def _content(session: Session, project: Project, release: Release) -> Content:
    """Raises Conflict where the audit behind it does not certify it any more."""
    if release.audit_id is not None:
        audit = session.get_one(Audit, release.audit_id)
        found = audited(session, project, audit)
        removed = len(found.certificate["removed"])
        return Content(found.chosen, audit.filters, audit.gates, {REMOVED: removed}, found)
    request = release.request
    sorted_out = preview(session, project, request)
    modes = {gate: Mode(mode) for gate, mode in request["gates"].items()}
    return Content(sorted_out.admitted, request["filters"], report(modes, sorted_out), sorted_out.removed)


def _write_rows(
    session: Session, project: Project, release: Release, content: Content, folder: Path
) -> Iterator[None]:
    shares: dict[str, float] = release.request["splits"]
    splits = assign([Placed(one.repo, one.text_hash) for one in content.chosen], shares)
    writer = CodeoceanWriter(folder, list(shares))
    try:
        for split, row in zip(splits, _rows(session, project, content), strict=True):
            writer.write(split, row)
    finally:
        writer.close()
    yield
    for format_ in release.request["formats"]:
        if format_ != CODEOCEAN:
            for split in shares:
                derive(folder, format_, split)
            yield
    release.rows = len(content.chosen)
    release.request = release.request | {"rows_by_split": writer.rows}


def _rows(session: Session, project: Project, content: Content) -> Iterator[Row]:
    for admitted in admitted_rows(session, content.chosen):
        if content.audited is None:
            yield codeocean(project.slug, admitted)
            continue
        number = admitted.instance_id
        row = codeocean(project.slug, admitted._replace(action=content.audited.decisions[number]))
        yield content.audited.checked(number, row)


def _write_description(
    session: Session, project: Project, release: Release, content: Content, folder: Path
) -> None:
    """The card and the manifest, which names every file with its hash."""
    rows: dict[str, int] = release.request["rows_by_split"]
    files = [
        described(folder / file_name(format_, split), format_, split, rows[split])
        for format_ in release.request["formats"]
        for split in rows
    ]
    manifest: dict[str, Any] = {
        "name": release.name,
        "schema_version": SCHEMA_VERSION,
        "created_at": release.created_at.astimezone(UTC).isoformat(),
        "project": project.slug,
        "basis": release.basis,
        "audit": "not audited",
        "rows": len(content.chosen),
        "splits": rows,
        "files": [_as_dict(file) for file in files],
        "sha256": release_hash(folder, list(rows)),
        "filters": dict(content.filters),
        "gates": dict(content.gates),
        "funnel": queries.funnel(session, project.id, len(content.chosen)),
    }
    if content.audited is not None:
        made = content.audited.certificate
        manifest |= {"audit": summary(made, content.audited.decisions.values()), "certificate": quoted(made)}
        manifest["files"] += [
            _as_dict(file) for file in write_audit(folder, content.audited.lot, content.audited.certificate)
        ]
    (folder / CARD).write_text(card(manifest, queries.facts(session, project, content.chosen)))
    manifest["files"].append(_as_dict(described(folder / CARD, "card", None, 0)))
    manifest = sealed(manifest)
    write_json(folder / MANIFEST, manifest)
    release.manifest = manifest
    release.sha256 = manifest["sha256"]


def _as_dict(file: Written) -> dict[str, Any]:
    return file._asdict()


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
