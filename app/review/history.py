"""The whole history of one instance. Touches the tables that hold it, reading only."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.pipeline import MAKING_STAGES, OPEN_TO_PEOPLE, READINGS, Stage, Stream
from app.review import queries
from app.review.blind import blind_detail, draw_in_hand, hidden_answers
from app.review.imported import imported
from app.review.overlap import may_see_opinions
from app.review.policy import policy_of
from app.review.queries import columns_of
from app.review.revisions import text_at, text_of
from app.review.shapes import (
    CallShape,
    DecisionShape,
    InstanceShape,
    PickShape,
    RevisionShape,
    SentBackShape,
    SimilarShape,
    SnippetShape,
)
from app.review.warnings import warnings_of
from app.storage.tables import (
    Call,
    Decision,
    Instance,
    Person,
    Pick,
    Project,
    Revision,
    RuleOverride,
)


class Viewer(NamedTuple):
    """Who looks, by name, and whether as an administrator of the project. `person_id`: 0 reads no audit."""

    name: str
    is_admin: bool
    person_id: int = 0


def instance_detail(session: Session, instance_id: int, viewer: Viewer) -> InstanceShape:
    """One instance with everything that the viewer may know about it. Raises NotFound.

    Whoever is to read it blind for an audit is shown what they read there.
    """
    row = queries.instance(session, instance_id)
    detail = _detail(session, row, viewer)
    draw = draw_in_hand(session, viewer.person_id, row.id) if viewer.person_id else None
    if draw is None:
        return detail
    return blind_detail(detail, draw.revision, text_at(session, row, draw.revision), viewer.name)


def _detail(session: Session, row: Instance, viewer: Viewer) -> InstanceShape:
    decisions = _decisions(session, row.id)
    revisions = _revisions(session, row, decisions)
    hidden = 0
    if not viewer.is_admin:
        secret = hidden_answers(session, row.id, decisions, viewer.name)
        revisions = _without(revisions, [one for one in decisions if one.id in secret])
        decisions = [one for one in decisions if one.id not in secret]
    sees_opinions = _sees_opinions(session, row, decisions, viewer)
    if not sees_opinions:
        mine = [one for one in decisions if one.person == viewer.name]
        hidden = len(decisions) - len(mine)
        decisions = mine
        revisions = [one for one in revisions if one.number in (0, row.revision) or one.person == viewer.name]
    calls = _calls(session, row)
    known = queries.known(session, row.id)
    text, raw = text_of(row), queries.raw_code_of(known.snippet)
    pick = session.get(Pick, row.pick_id) if row.pick_id else None
    return InstanceShape.model_validate(
        {
            **columns_of(row),
            "project": session.get_one(Project, row.project_id).slug,
            "prompt_hash": _prompt_hash(calls, known.sent_back),
            "snippet": SnippetShape.model_validate(known.snippet) if known.snippet else None,
            "pick": PickShape.model_validate(pick) if pick else None,
            "evidence": known.evidence,
            "verdict": known.verdict,
            "sent_back": known.sent_back,
            "calls": calls,
            "decisions": decisions,
            "hidden_decisions": hidden,
            "revisions": revisions,
            "similar": _exact_copies(session, row),
            "warnings": warnings_of(text, raw, is_mended=known.is_mended),
            "imported": imported(session, row, sees_opinions=sees_opinions),
        }
    )


def _prompt_hash(calls: Sequence[CallShape], sent_back: SentBackShape | None) -> str | None:
    """Of the prompt that the machine's text came of."""
    corrected_by = sent_back.call_id if sent_back else None
    wrote = [
        call
        for call in calls
        if (call.stage == Stage.GENERATE if corrected_by is None else call.id == corrected_by)
    ]
    return wrote[-1].template_hash if wrote else None


def _sees_opinions(
    session: Session, row: Instance, decisions: Sequence[DecisionShape], viewer: Viewer
) -> bool:
    said = (
        one
        for one in decisions
        if one.person == viewer.name and one.stream == Stream.WORK and one.undone_at is None
    )
    return may_see_opinions(
        policy_of(session, row.project_id).opinions_visible,
        is_admin=viewer.is_admin,
        is_open=row.status in OPEN_TO_PEOPLE,
        has_decided=any(one.round == row.round and one.action in READINGS for one in said),
    )


def _calls(session: Session, row: Instance) -> list[CallShape]:
    query = select(Call).where(Call.source_id == row.id, Call.stage.in_(MAKING_STAGES)).order_by(Call.id)
    return [
        CallShape.model_validate({**columns_of(call), "cost_usd": call.cost_micro / 1_000_000})
        for call in session.scalars(query)
    ]


def _decisions(session: Session, instance_id: int) -> list[DecisionShape]:
    rows = session.execute(
        select(Decision, Person.name)
        .join(Person, Person.id == Decision.person_id)
        .where(Decision.instance_id == instance_id)
        .order_by(Decision.id)
    ).all()
    overrides: dict[int, dict[str, str]] = {}
    for one in session.scalars(
        select(RuleOverride).where(RuleOverride.decision_id.in_([decision.id for decision, _ in rows]))
    ):
        overrides.setdefault(one.decision_id, {})[one.rule] = one.answer
    return [
        DecisionShape.model_validate(
            {**columns_of(decision), "person": name, "rules": overrides.get(decision.id, {})}
        )
        for decision, name in rows
    ]


def _revisions(session: Session, row: Instance, decisions: Sequence[DecisionShape]) -> list[RevisionShape]:
    """Every text in order; what a reader began with is not always the one before, where several read. While nobody edited, the model's own is the instance's and has no row of its own."""
    rows = session.execute(
        select(Revision, Person.name)
        .outerjoin(Person, Person.id == Revision.person_id)
        .where(Revision.instance_id == row.id)
        .order_by(Revision.number)
    ).all()
    began_with = {one.new_revision: one.revision for one in decisions}
    revisions = [
        RevisionShape.model_validate(
            {**columns_of(one), "person": name, "base": began_with.get(one.number, max(one.number - 1, 0))}
        )
        for one, name in rows
    ]
    if not revisions and row.solution:
        revisions = [
            RevisionShape.model_validate(
                {**columns_of(row), "number": 0, "base": 0, "person": None, "edit_distance": 0}
            )
        ]
    return revisions


def _without(revisions: list[RevisionShape], hidden: Sequence[DecisionShape]) -> list[RevisionShape]:
    made = {one.new_revision for one in hidden}
    return [one for one in revisions if one.number not in made]


def _exact_copies(session: Session, row: Instance) -> list[SimilarShape]:
    if row.text_hash is None:
        return []
    query = (
        select(Instance)
        .where(
            Instance.project_id == row.project_id,
            Instance.text_hash == row.text_hash,
            Instance.id != row.id,
        )
        .order_by(Instance.id)
        .limit(20)
    )
    return [SimilarShape.model_validate(other) for other in session.scalars(query)]


def decision_shape(session: Session, row: Decision) -> DecisionShape:
    return next(one for one in _decisions(session, row.instance_id) if one.id == row.id)
