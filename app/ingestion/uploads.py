"""Keeps uploads below FILES_DIR under their content hash. Touches files."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from app.errors import InvalidInput

FOLDER = "uploads"
_CHUNK = 1024 * 1024


def keep_upload(stream: BinaryIO, files: Path) -> Path:
    """Write an upload to `files`/uploads/<sha256>, whole or not at all. Raises InvalidInput for an empty one."""
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
        os.replace(name, kept)
    except BaseException:
        os.unlink(name)
        raise
    return kept
