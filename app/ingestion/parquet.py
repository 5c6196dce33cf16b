"""Reads Parquet files with either set of CodeSearchNet's field names. Touches files, only to read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.ingestion.codesearchnet import FIELDS, outcome_of_record
from app.ingestion.decoding import unreadable
from app.ingestion.rows import ODD, Refusal, Row, refusal

_BATCH = 500  # rows
_TOO_LARGE = f"the next {_BATCH} rows take more memory than reading may have"


def read_parquet(path: Path, file: str, license_: str | None) -> Iterator[Row | Refusal]:
    """The rows of a file, numbered from 1; one batch of them is in memory at a time."""
    number = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False) as parquet:
            known = {name for names in FIELDS.values() for name in names}
            columns = [name for name in parquet.schema_arrow.names if name in known]
            for batch in parquet.iter_batches(batch_size=_BATCH, columns=columns, use_threads=False):
                for index in range(batch.num_rows):
                    number += 1
                    yield _outcome(batch, index, (file, number), license_)
    except MemoryError:  # Arrow's is one, too
        yield refusal("broken_parquet", file, number + 1, "", f"after row {number}: {_TOO_LARGE}")
        return
    except (pa.ArrowException, OSError, *ODD) as error:
        yield refusal("broken_parquet", file, number + 1, "", f"after row {number}: {error}")
        return
    if number == 0:
        yield refusal("empty_file", file, None, "", "the file holds no rows")


def _outcome(batch: Any, index: int, place: tuple[str, int], license_: str | None) -> Row | Refusal:
    try:
        record = {name: batch.column(name)[index].as_py() for name in batch.schema.names}
    except UnicodeDecodeError as error:
        why = f"a text is not UTF-8: {error.reason} at byte {error.start + 1}"
        return refusal("bad_encoding", *place, "", why)
    except (pa.ArrowException, *ODD) as error:  # a date of the year 300,000 ...
        return unreadable(error, *place)
    return outcome_of_record(record, *place, license_)
