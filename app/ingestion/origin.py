"""Where a folder of code comes from: repository and version. Touches files, only to read; runs no git."""

import re
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ARCHIVE_ENDINGS = re.compile(r"\.(?:zip|tar|tgz|tar\.gz|whl)$", re.IGNORECASE)


class Origin(NamedTuple):
    repo: str
    sha: str  # a commit, or a release's version; "" when neither is known
    url: str  # of a file: this and its path; "" when unknown


def origin_of(path: Path, name: str) -> Origin:
    """The origin of a checkout, an installed package, an archive or the running interpreter's own library."""
    if not path.is_dir():
        return Origin(_ARCHIVE_ENDINGS.sub("", name), "", "")
    path = path.resolve()
    if path == Path(sysconfig.get_path("stdlib")).resolve():
        version = "v{}.{}.{}".format(*sys.version_info)
        return Origin("python/cpython", version, f"https://github.com/python/cpython/blob/{version}/Lib/")
    commit = _commit(path / ".git")
    return Origin(path.name, commit or _installed_version(path), "")


def _commit(git: Path) -> str:
    """The commit that is checked out, or "" where there is none to read."""
    head = _read(git / "HEAD")
    if not head.startswith("ref: refs/"):
        return head if _COMMIT.fullmatch(head) else ""
    reference = head.removeprefix("ref: ")
    loose = _read(git / reference)
    if _COMMIT.fullmatch(loose):
        return loose
    packed = (line.split(" ") for line in _read(git / "packed-refs").splitlines())
    return next((words[0] for words in packed if words[1:] == [reference]), "")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _installed_version(package: Path) -> str:
    """The version of the distribution that a package was installed from, by the folder beside it."""
    for metadata in sorted(package.parent.glob("*.dist-info")):
        name, _, version = metadata.name.removesuffix(".dist-info").partition("-")
        if name.lower() == package.name.lower():
            return version
    return ""
