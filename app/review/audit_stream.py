"""The audit stream: handing out the draws of a frozen lot, and taking what is said about them. Touches the tables.

Draws are handed out in their order and never skipped: one whose lease runs out goes to whoever asks next. An answer
is a label, and maybe a corrected text for the release. The instance itself stays as it is: what the work stream
says about it is another matter.
"""

import secrets
from collections.abc import Iterator

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.log import log
from app.errors import Conflict
from app.pipeline import AuditState, Part, Stream
from app.review import audit_queries as queries
from app.review import decision_queries
from app.review.audit_labels import keep_disagreement, settle
from app.review.audit_queries import Draw
from app.review.draws import Answer, Left, NothingToRead, checked_label, why_no_draw
from app.review.judgement import checked_note, checked_reason, checked_text
from app.review.leases import lease_end, locked
from app.review.revisions import keep_revision, text_at
from app.storage.labels import standing_of
from app.storage.tables import Audit, Decision, Instance, Lease, LotRow, Person, Project

# --- handing out ------------------------------------------------------------------------------------------


def next_draw(
    session: Session,
    project: Project,
    person: Person,
    *,
    audit_id: int | None = None,
    prefetch: bool = False,
    beside: int | None = None,
) -> Draw | NothingToRead:
    """What this person reads next: what they hold already, then the next draw of the audit; without `audit_id`
    of the oldest audit of the project that has one for them.

    With `prefetch` it is what comes after the first that they hold, with `beside` what comes after this instance,
    whatever else they hold. Raises NotFound.
    """
    if audit_id is None:
        audits = queries.audits_of(session, project.id)
    else:
        audits = [queries.audit_in(session, project.id, audit_id)]
    mine = [one for one in queries.held(session, project.id, person.id) if audit_id in (None, one.audit.id)]
    if prefetch and beside is None and mine:
        beside = mine[0].row.instance_id
    for draw in mine:
        if draw.row.instance_id != beside and _renewed(session, draw.lease):
            return draw
    for audit in audits:
        draw = _give_next(session, audit, person)
        if draw is not None:
            return draw
    return why_no_draw([_left(session, audit, person) for audit in audits])


def _give_next(session: Session, audit: Audit, person: Person) -> Draw | None:
    for row in _free_rows(session, audit, person):
        # Another reader or another tab may have been given the row, or have answered, since the query's snapshot.
        holder = queries.holder(session, row)
        if holder is not None and holder.person_id != person.id:
            continue
        said = [one.person_id for one in queries.answers(session, row)]
        if person.id in said or len(said) > row.twice:
            continue
        return Draw(audit, row, holder or _give(session, row, person))
    return None


def _free_rows(session: Session, audit: Audit, person: Person) -> Iterator[LotRow]:
    """Rows to give, locked, the best one first; each time as it is then. What others begun is finished first, then
    the census is read, without which the tolerance is not known."""
    if audit.state != AuditState.ABANDONED:
        while (row := queries.lock_second(session, audit, person.id)) is not None:
            yield row
    if audit.state == AuditState.OPEN:
        for part in (Part.CENSUS, Part.RANDOM):
            while (row := queries.lock_new(session, audit, part)) is not None:
                yield row


def _give(session: Session, row: LotRow, person: Person) -> Lease:
    """A lease on a locked row. What the person holds of it in the work stream, verdict on screen, goes back."""
    in_work = (
        Lease.instance_id == row.instance_id,
        Lease.person_id == person.id,
        Lease.stream == Stream.WORK,
    )
    session.execute(delete(Lease).where(*in_work).execution_options(synchronize_session="fetch"))
    given = insert(Lease).values(
        instance_id=row.instance_id,
        person_id=person.id,
        stream=Stream.AUDIT,
        audit_id=row.audit_id,
        token=secrets.token_urlsafe(24),
        expires_at=lease_end(),
    )
    return session.scalars(given.returning(Lease)).one()


def _left(session: Session, audit: Audit, person: Person) -> Left:
    """Why an audit has nothing to give, in numbers."""
    state = AuditState(audit.state)
    if state is AuditState.ABANDONED:
        return Left(audit.id, state, 0, 0, 0, 0, None)
    waiting = queries.waiting(session, audit, person.id)
    return Left(
        audit.id,
        state,
        waiting.unread if state is AuditState.OPEN else 0,
        waiting.second,
        waiting.second_mine,
        standing_of(session, audit).disputed,
        waiting.free_at,
    )


def renew(session: Session, person: Person, audit_id: int, instance_id: int, token: str) -> None:
    """Hold a draw for another ten minutes, and what is held ahead of it. Raises Conflict where it is lost."""
    if not queries.renew_held(session, audit_id, person.id, token):
        raise Conflict(why_not(session, queries.lot_row(session, audit_id, instance_id), person.id))


def _renewed(session: Session, lease: Lease) -> bool:
    """False where it ran out just now and another reader has the draw."""
    longer = update(Lease).where(Lease.id == lease.id).values(expires_at=lease_end()).returning(Lease)
    return session.scalars(longer.execution_options(populate_existing=True)).one_or_none() is not None


def why_not(session: Session, row: LotRow, person_id: int) -> str:
    """Why this person cannot go on with the draw. What others said is not told."""
    draw = f"instance {row.instance_id} in audit {row.audit_id}"
    if any(one.person_id == person_id for one in queries.answers(session, row)):
        return f"you have read {draw} already, and an answer in an audit stands"
    other = queries.lease_of_another(session, row, person_id)
    if other is not None:
        return f"{draw} is with {other[0]} until {other[1]:%H:%M} UTC"
    return f"you do not hold {draw} any more: ask for the next draw"


# --- answers ----------------------------------------------------------------------------------------------


def decide(
    session: Session,
    person: Person,
    instance_id: int,
    token: str,
    answer: Answer,
    project_id: int | None = None,
) -> Decision:
    """Store what a person says about a draw they hold, and what follows for its audit.

    Raises:
        NotFound: there is no such instance, or not in this project.
        Conflict: the draw is not theirs any more, its audit was abandoned, or they would skip it.
        InvalidInput: names the field.
    """
    instance = locked(session, instance_id, project_id)
    shown = queries.lease_shown(session, instance_id, person.id, token)
    if shown is None or shown.audit_id is None:
        raise Conflict(f"you do not hold instance {instance_id} for an audit any more: ask for the next draw")
    row = queries.lot_row(session, shown.audit_id, instance_id, lock=True)
    lease = queries.lease_shown(session, instance_id, person.id, token)
    if lease is None:  # it had run out, and while this waited for the row somebody else was given the draw
        raise Conflict(why_not(session, row, person.id))
    audit = queries.audit_locked(session, row.audit_id)
    if audit.state == AuditState.ABANDONED:
        raise Conflict(f"audit {audit.id} was abandoned: no more answers are taken")
    earlier = queries.answers(session, row)
    decision = _write_down(session, person, instance, Draw(audit, row, lease), answer)
    session.delete(lease)
    session.flush()
    if earlier:
        keep_disagreement(session, earlier[0], decision)
    settle(session, audit, person.id)
    return decision


def _write_down(session: Session, person: Person, instance: Instance, draw: Draw, answer: Answer) -> Decision:
    """Keep an answer as a decision, an edited text as a revision that is not the instance's own."""
    project = session.get_one(Project, instance.project_id)
    judgement = answer.judgement
    defect = checked_label(answer, project.reasons)
    given = text_at(session, instance, draw.row.revision)
    left = checked_text(judgement, given)
    decision = Decision(
        project_id=project.id,
        instance_id=instance.id,
        person_id=person.id,
        stream=Stream.AUDIT,
        audit_id=draw.audit.id,
        defect=defect,
        action=judgement.action,
        reason=checked_reason(judgement, project.reasons),
        note=checked_note(judgement),
        revision=draw.row.revision,
        new_revision=keep_revision(session, instance, person.id, left, given) if left != given else None,
        guideline_version=decision_queries.guideline_version(session, project.id),
        leased_at=draw.lease.leased_at,
    )
    session.add(decision)
    session.flush()
    log(
        session,
        person.id,
        "draw read",
        f"instance {instance.id}",
        {"audit": draw.audit.id, "decision": decision.id, "defect": defect},
        project_id=project.id,
    )
    return decision
