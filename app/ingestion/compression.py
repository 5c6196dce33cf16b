"""Opens a file that may be compressed with gzip, whatever it is called. Touches files, only to read."""

import gzip
import io
import zlib
from pathlib import Path

BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)
MOST_UNPACKED = 8 * 1024**3  # bytes of one file
MOST_TIMES = 250  # as large as it is packed; code and JSON are 3 to 30 times
ALWAYS_UNPACKED = 64 * 1024**2  # bytes; a small file may be what it likes
_CHUNK = 256 * 1024


class TooMuchUnpacked(Exception):
    """Unpacked it is larger than anything honest: how large, as half a sentence."""


def opened(path: Path) -> io.BufferedIOBase:
    """The file's bytes, unpacked.

    Reading damaged data raises one of BROKEN_GZIP where the damage is, and TooMuchUnpacked where it would not end.
    """
    with path.open("rb") as plain:
        is_gzip = plain.read(2) == b"\x1f\x8b"
    if not is_gzip:
        return path.open("rb")
    return io.BufferedReader(_Measured(gzip.GzipFile(path), path.stat().st_size), _CHUNK)


def head_of(path: Path, size: int) -> bytes:
    """The first `size` bytes, unpacked; as many as there are before the end or the damage."""
    head = b""
    try:
        with opened(path) as stream:
            while len(head) < size and (piece := stream.read1(size - len(head))):
                head += piece
    except (*BROKEN_GZIP, TooMuchUnpacked):
        pass
    return head


def check_unpacked(unpacked: int, packed: int) -> None:
    """Raises TooMuchUnpacked for more bytes than an honest file of `packed` bytes becomes."""
    if unpacked > MOST_UNPACKED:
        raise TooMuchUnpacked(f"unpacked it has more than {MOST_UNPACKED:,} bytes")
    if unpacked > ALWAYS_UNPACKED and unpacked > MOST_TIMES * packed:
        raise TooMuchUnpacked(
            f"{packed:,} bytes become more than {unpacked:,}, over {MOST_TIMES} times as many"
        )


class _Measured(io.RawIOBase):
    """Counts what comes out of a compressed file."""

    def __init__(self, unpacked: gzip.GzipFile, packed: int) -> None:
        self._unpacked, self._packed = unpacked, packed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        piece = self._unpacked.read1(len(buffer))
        buffer[: len(piece)] = piece
        check_unpacked(self._unpacked.tell(), self._packed)
        return len(piece)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Only forward: back again would unpack from the start."""
        place = self.tell()
        wanted = offset + (place if whence == io.SEEK_CUR else 0)
        if whence == io.SEEK_END or wanted < place:
            raise OSError("a compressed file is read from its start to its end")
        while place < wanted and (skipped := len(self._unpacked.read1(min(_CHUNK, wanted - place)))):
            place += skipped
            check_unpacked(place, self._packed)
        return place

    def tell(self) -> int:
        return self._unpacked.tell()

    def close(self) -> None:
        self._unpacked.close()
        super().close()
