"""What an imported instance came with. Touches its tables, reading only."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.review.shapes import ImportedShape
from app.storage.tables import ImportedRecord, Instance, Source

_OPINIONS = ("responses", "decision")  # of people, elsewhere: as blind as those of people here


def imported(session: Session, row: Instance, *, sees_opinions: bool) -> ImportedShape | None:
    """The record behind an instance, None where it was made here; without what people said where that is hidden."""
    found = session.execute(
        select(ImportedRecord, Source)
        .join(Source, Source.run_id == row.run_id)
        .where(ImportedRecord.instance_id == row.id)
    ).one_or_none()
    if found is None:
        return None
    record, source = found
    hidden = 0 if sees_opinions else sum(map(_answers, _opinions(record.kept).values()))
    return ImportedShape(
        source_id=source.id,
        source=source.name,
        format=source.format,
        line=record.line,
        external_id=record.external_id,
        license=record.license,
        kept={name: value for name, value in record.kept.items() if sees_opinions or name not in _OPINIONS},
        hidden=hidden,
    )


def _opinions(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name: kept[name] for name in _OPINIONS if name in kept}


def _answers(opinion: Any) -> int:
    return len(opinion) if isinstance(opinion, list) else 1
