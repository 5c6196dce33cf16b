"""Opens a file that may be compressed with gzip, whatever it is called. Touches files, only to read."""

import gzip
import io
import zlib
from pathlib import Path

BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


def opened(path: Path) -> io.BufferedIOBase:
    """The file's bytes, unpacked. Reading damaged data raises one of BROKEN_GZIP where the damage is."""
    with path.open("rb") as plain:
        is_gzip = plain.read(2) == b"\x1f\x8b"
    return gzip.GzipFile(path) if is_gzip else path.open("rb")
