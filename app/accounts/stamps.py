"""When somebody was here last: written beside the work, so that nobody waits for it."""

from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from app.storage.tables import ApiToken, SignIn


def stamp(
    session: Session, kept: type[ApiToken | SignIn], row_id: int, due: ColumnElement[bool], **values: Any
) -> None:
    """Write `values` into one row where that is `due`, and commit.

    All requests of a caller stamp the same row. Its lock must not last as long as a request does, so this is a
    transaction of its own: nothing else may have been written in it. Whoever finds the row locked leaves it alone, for
    another one is writing the same.
    """
    free = select(kept.id).where(kept.id == row_id, due).with_for_update(key_share=True, skip_locked=True)
    session.execute(
        update(kept).where(kept.id == free.scalar_subquery()).values(values),
        execution_options={"synchronize_session": "fetch"},
    )
    session.commit()
