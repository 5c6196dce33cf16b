"""Keeps uploads below FILES_DIR under their content hash. Touches files."""

import hashlib
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from app.errors import InvalidInput

FOLDER = "uploads"
_CHUNK = 1024 * 1024


def location_of(path: Path, files: Path) -> str:
    """What is kept of where a file lies: of an upload its place below `files`, which may move as a whole."""
    return f"{FOLDER}/{path.name}" if path.parent == files / FOLDER else str(path)


@contextmanager
def kept_upload(stream: BinaryIO, files: Path) -> Generator[Path]:
    """An upload at `files`/uploads/<sha256>, whole. One that the block refuses is not kept, unless it was before.

    Raises InvalidInput for an empty one.
    """
    folder = files / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    content_hash = hashlib.sha256()
    part, name = tempfile.mkstemp(dir=folder, prefix=".part-")
    try:
        with open(part, "wb") as file:
            while chunk := stream.read(_CHUNK):
                content_hash.update(chunk)
                file.write(chunk)
            if not file.tell():
                raise InvalidInput("the file is empty", "file")
        kept = folder / content_hash.hexdigest()
        was_there = kept.exists()
        os.replace(name, kept)
    except BaseException:
        os.unlink(name)
        raise
    try:
        yield kept
    except InvalidInput:
        if not was_there:
            kept.unlink(missing_ok=True)
        raise
