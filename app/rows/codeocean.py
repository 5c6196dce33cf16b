"""The `codeocean` row, which every other format is made from, and its hash. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.guarantee.lot import hash_without

SCHEMA_VERSION = 1

Row = Mapping[str, Any]


class Admitted(NamedTuple):
    """An instance that goes into a release, with what is said about it there."""

    instance_id: int
    task: str
    task_name: str
    instruction: str
    information: str
    solution: str
    language: str
    target_language: str | None
    revision: int
    generator: str
    discriminator: str
    action: str
    served_as_exemplar: bool
    repo: str | None
    path: str | None
    sha: str | None
    url: str | None
    license: str | None
    snippet_hash: str | None


def row_id(project: str, instance_id: int) -> str:
    """What a row is called in every release of its project (`project` is the slug)."""
    return f"{project}-{instance_id}"


def codeocean(project: str, admitted: Admitted) -> Row:
    """The whole row. Its `hash` is SHA-256 over the canonical JSON of everything else in it."""
    row = unhashed(project, admitted)
    return {**row, "hash": row_hash(row)}


def unhashed(project: str, admitted: Admitted) -> Row:
    """The row without its `hash`."""
    return {
        "id": row_id(project, admitted.instance_id),
        "schema_version": SCHEMA_VERSION,
        "task": admitted.task,
        "task_name": admitted.task_name,
        "instruction": admitted.instruction,
        "information": admitted.information,
        "solution": admitted.solution,
        "language": admitted.language,
        "target_language": admitted.target_language,
        "source": {
            "repo": admitted.repo,
            "path": admitted.path,
            "sha": admitted.sha,
            "url": admitted.url,
            "license": admitted.license,
            "snippet_hash": admitted.snippet_hash,
        },
        "generator": admitted.generator,
        "discriminator": admitted.discriminator,
        "decision": admitted.action,
        "revision": admitted.revision,
        "served_as_exemplar": admitted.served_as_exemplar,
    }


def row_hash(row: Row) -> str:
    """SHA-256 of a codeocean row without its own `hash`."""
    return hash_without(row, "hash")
