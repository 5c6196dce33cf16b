"""What becomes of the rows of a source: counted by rule, a few of each kept to look at. Touches the tables."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from app.engine.runs import count_rows
from app.ingestion import queries
from app.ingestion.rows import Refusal
from app.storage.tables import Run

ADDED = "added"
EXHIBITS = 5  # of each rule and run
_ENDS_THE_FILE = {
    "broken_array",
    "broken_gzip",
    "broken_parquet",
    "empty_file",
    "reading_stopped",
    "too_many_empty_lines",
    "too_many_files",
    "too_much_unpacked",
}


def room_for(session: Session, run: Run, rule: str) -> int:
    """How many more exhibits of a rule the ledger takes."""
    return max(0, EXHIBITS - queries.rows_by_code(session, run.id).get(rule, 0))


def keep_ledger(session: Session, run: Run, counts: Mapping[str, int], refusals: Sequence[Refusal]) -> None:
    """Count a batch and keep the first exhibits of each rule; what ends a file early is the run's reason.

    `refusals` may hold fewer than `counts` says: those whose exhibit would find no room.
    """
    shown = Counter(queries.rows_by_code(session, run.id))
    exhibits: list[Refusal] = []
    for one in refusals:
        if shown[one.rule] < EXHIBITS:
            shown[one.rule] += 1
            exhibits.append(one)
        is_whole = one.rule == "broken_archive" and one.file == run.params.get("source")
        if one.rule in _ENDS_THE_FILE or is_whole:
            run.reason = f"{one.file}: {one.why}"
    queries.add_exhibits(session, run.id, exhibits)
    count_rows(session, run, dict(counts))
