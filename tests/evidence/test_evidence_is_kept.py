from sqlalchemy import select
from sqlalchemy.orm import Session

from app.evidence.checks import Kind
from app.evidence.service import gather_evidence
from app.storage.tables import Evidence, Instance
from tests.factories import make_instance, make_pick, make_project, make_snippet


def evidence_of(session: Session, instance: Instance) -> dict[str, str]:
    rows = session.scalars(select(Evidence).where(Evidence.instance_id == instance.id))
    return {row.kind: row.result for row in rows}


def test_every_kind_of_evidence_has_a_row(session: Session):
    instance = make_instance(session, text_hash="a")

    gather_evidence(session, [instance])

    assert evidence_of(session, instance) == {
        "parses": "pass",
        "names_resolve": "pass",
        "exact_duplicate": "pass",
        "licence_known": "pass",
        "runs": "not_checked",
        "near_duplicate": "not_checked",
        "contamination": "not_checked",
        "secrets": "not_checked",
    }


def test_the_same_text_twice_in_a_project_is_a_duplicate_and_in_another_project_is_not(session: Session):
    project = make_project(session)
    make_instance(session, make_pick(session, make_snippet(session, project)), text_hash="a")
    again = make_instance(session, make_pick(session, make_snippet(session, project)), text_hash="a")
    elsewhere = make_instance(session, text_hash="a")

    gather_evidence(session, [elsewhere])
    gather_evidence(session, [again])

    assert evidence_of(session, elsewhere)[Kind.EXACT_DUPLICATE] == "pass"
    assert evidence_of(session, again)[Kind.EXACT_DUPLICATE] == "fail"


def test_checking_again_replaces_what_was_found(session: Session):
    instance = make_instance(session, solution="def f(:")
    gather_evidence(session, [instance])

    instance.solution = "def f(): pass"
    gather_evidence(session, [instance])

    assert evidence_of(session, instance)[Kind.PARSES] == "pass"


def test_a_snippet_without_a_licence_shows_in_the_evidence(session: Session):
    instance = make_instance(session, make_pick(session, make_snippet(session, license=None)))

    gather_evidence(session, [instance])

    assert evidence_of(session, instance)[Kind.LICENCE_KNOWN] == "fail"
