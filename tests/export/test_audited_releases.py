"""A release of an audited lot: which rows, in which words, and that its files prove it to anybody."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.export import service
from app.export.asking import Wanted
from app.export.service import start_release
from app.export.verify import verify
from app.guarantee.lot import Frozen, content_hash, lot_bytes
from app.pipeline import AuditState, InstanceStatus, Part
from app.storage.tables import Audit, Instance, LabelChange, LotRow, Project
from tests.audit.lots import lot_of, make_audit, make_instances, read, read_all
from tests.export.building import build, rows
from tests.factories import make_person, make_project

AUDITED = Wanted("first", basis="audited")
CODEOCEAN = "codeocean.train.jsonl"


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def frozen(session: Session, project: Project, count: int = 40, **wanted: Any) -> Audit:
    """A lot of which one in five rows may be defective: about half of it has to be read."""
    make_instances(session, project, count)
    return make_audit(session, project, **({"max_defect_rate": 0.2} | wanted))


def certify(session: Session, audit: Audit, rows: list[LotRow] | None = None) -> None:
    """Everything else is read and ok. The state is kept by whoever records labels; here that is the test."""
    read_all(session, audit, lot_of(session, audit) if rows is None else rows)
    audit.state = AuditState.CERTIFIED
    session.flush()


def certificate(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "certificate.json").read_text())


def by_id(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows(folder / CODEOCEAN)}


def test_it_has_the_rows_of_the_lot_and_says_which_were_read(session: Session, project: Project) -> None:
    audit = frozen(session, project)
    drawn = lot_of(session, audit)
    certify(session, audit, drawn[:30])

    _, folder = build(session, project, AUDITED)

    released = by_id(folder)
    assert set(released) == {row.row_id for row in drawn}
    assert all(content_hash(released[row.row_id]) == row.content_hash for row in drawn)
    assert [released[row.row_id]["decision"] for row in drawn] == ["accept"] * 30 + ["undrawn"] * 10
    assert verify(folder).problems == []


def test_a_defect_is_corrected_or_removed_and_a_polish_is_a_correction(
    session: Session, project: Project
) -> None:
    audit = frozen(session, project, 100)
    removed, corrected, polished, *others = lot_of(session, audit)
    read(session, audit, removed, defect=True)
    read(session, audit, corrected, defect=True, edit="It is right now.")
    read(session, audit, polished, edit="It reads better now.")
    certify(session, audit, others[:60])

    run, folder = build(session, project, AUDITED)

    released, made = by_id(folder), certificate(folder)
    assert removed.row_id not in released
    assert released[corrected.row_id]["instruction"] == "It is right now."
    assert released[polished.row_id]["instruction"] == "It reads better now."
    assert {released[row.row_id]["decision"] for row in (corrected, polished)} == {"edit"}
    assert [one["id"] for one in made["removed"]] == [removed.row_id]
    assert {one["id"]: one["was_defect"] for one in made["corrected"]} == {
        corrected.row_id: True,
        polished.row_id: False,
    }
    assert "2 were found, 1 corrected and 1 removed" in made["second_line"]
    assert (run.total, len(released)) == (100, 99)
    assert verify(folder).problems == []


def test_what_happened_in_the_work_stream_since_the_freeze_changes_nothing(
    session: Session, project: Project
) -> None:
    audit = frozen(session, project)
    *drawn, rejected, edited = lot_of(session, audit)
    session.get_one(Instance, rejected.instance_id).status = InstanceStatus.REJECTED
    instance = session.get_one(Instance, edited.instance_id)
    instance.revision, instance.instruction = 1, "Somebody changed it."
    certify(session, audit, drawn[:30])

    _, folder = build(session, project, AUDITED)

    released = by_id(folder)
    assert released[rejected.row_id]["decision"] == released[edited.row_id]["decision"] == "undrawn"
    assert content_hash(released[edited.row_id]) == edited.content_hash
    assert verify(folder).problems == []


def test_a_withdrawn_row_leaves_and_the_claim_becomes_a_count(session: Session, project: Project) -> None:
    audit = frozen(session, project)
    *drawn, withdrawn = lot_of(session, audit)
    session.get_one(Instance, withdrawn.instance_id).status = InstanceStatus.WITHDRAWN
    certify(session, audit, drawn[:30])

    _, folder = build(session, project, AUDITED)

    assert withdrawn.row_id not in by_id(folder)
    assert certificate(folder)["removed"] == [
        {"id": withdrawn.row_id, "why": "withdrawn", "label": "undrawn"}
    ]
    assert "1 row left the lot after the freeze" in certificate(folder)["claim"]
    assert verify(folder).problems == []


def test_a_census_is_released_with_its_defects_mended(session: Session, project: Project) -> None:
    make_instances(session, project, 3, verdict="fail")
    audit = frozen(session, project, census="read")
    bad, mended, fine = lot_of(session, audit, Part.CENSUS)
    read(session, audit, bad, defect=True)
    read(session, audit, mended, defect=True, edit="Mended.")
    read(session, audit, fine)
    certify(session, audit)

    _, folder = build(session, project, AUDITED)

    made = certificate(folder)
    assert set(by_id(folder)) >= {mended.row_id, fine.row_id}
    assert bad.row_id not in by_id(folder)
    assert (made["census"]["rows"], made["census"]["kept"], made["rows_audited"]) == (3, 2, 42)
    assert verify(folder).problems == []


def test_second_readings_changes_of_labels_and_earlier_audits_stand_in_the_certificate(
    session: Session, project: Project
) -> None:
    earlier = frozen(session, project)
    read(session, earlier, lot_of(session, earlier)[0], defect=True)
    audit = make_audit(session, project, max_defect_rate=0.2, double_share=0.5)
    drawn = lot_of(session, audit)
    twice = next(row for row in drawn if row.twice)
    read(session, audit, twice, by=make_person(session))
    second = read(session, audit, twice, defect=True, by=make_person(session))
    for before, after, why in ((False, True, "disagreement"), (True, False, "adjudicated")):
        session.add(
            LabelChange(
                audit_id=audit.id,
                instance_id=twice.instance_id,
                person_id=second.person_id,
                decision_id=second.id,
                before=before,
                after=after,
                why=why,
            )
        )
    certify(session, audit, [row for row in drawn if row is not twice])

    _, folder = build(session, project, AUDITED)

    made = certificate(folder)
    assert made["first"] is False
    assert made["earlier_audits"] == [
        {
            "id": earlier.id,
            "shared_rows": 40,
            "state": "open",
            "alpha": 0.05,
            "max_defect_rate": 0.2,
            "draws": 1,
            "defects": 1,
        }
    ]
    assert [(one["id"], one["why"], one["after"]) for one in made["label_changes"]] == [
        (twice.row_id, "disagreement", "defect"),
        (twice.row_id, "adjudicated", "ok"),
    ]
    assert made["readers"]["read_twice"] == 1
    assert "not the first" in made["claim"]
    assert verify(folder).problems == []


def test_manifest_and_card_say_what_is_claimed(session: Session, project: Project) -> None:
    audit = frozen(session, project)
    certify(session, audit, lot_of(session, audit)[:30])

    _, folder = build(session, project, AUDITED)

    manifest, card, made = (
        json.loads((folder / "manifest.json").read_text()),
        (folder / "README.md").read_text(),
        certificate(folder),
    )
    assert manifest["basis"] == "audited"
    assert manifest["certificate"]["sha256"] == made["sha256"]
    assert manifest["certificate"]["claim"] == made["claim"]
    assert (manifest["audit"]["id"], manifest["audit"]["undrawn"]) == (audit.id, 10)
    assert {"lot.jsonl", "certificate.json"} <= {file["name"] for file in manifest["files"]}
    assert manifest["gates"] == audit.gates
    assert made["claim"] in card
    assert "10 never read" in card
    assert "Not audited" not in card
    lot = [Frozen(row.row_id, row.content_hash, row.part) for row in lot_of(session, audit)]
    assert (folder / "lot.jsonl").read_bytes() == lot_bytes(lot)


def test_the_same_labels_give_the_same_bytes(session: Session, project: Project) -> None:
    audit = frozen(session, project)
    read(session, audit, lot_of(session, audit)[0], edit="Another text.")
    certify(session, audit, lot_of(session, audit)[1:])

    _, one = build(session, project, AUDITED)
    _, other = build(session, project, AUDITED._replace(name="second", audit_id=audit.id))

    for name in (CODEOCEAN, "train.parquet", "lot.jsonl", "certificate.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_it_splits_and_comes_in_every_format(session: Session, project: Project) -> None:
    audit = frozen(session, project)
    certify(session, audit)

    _, folder = build(
        session,
        project,
        AUDITED._replace(formats=["alpaca"], splits={"train": 0.5, "test": 0.5}),
    )

    sides = [len(rows(folder / f"alpaca.{split}.jsonl")) for split in ("train", "test")]
    assert sum(sides) == 40
    assert verify(folder).problems == []


class TestWhatIsMissing:
    """A release that would claim what is not shown is refused, and says what is missing."""

    def test_an_audit_at_all(self, session: Session, project: Project) -> None:
        with pytest.raises(Conflict, match="no audit in this project"):
            start_release(session, project, AUDITED, None)

    def test_one_of_this_project(self, session: Session, project: Project) -> None:
        elsewhere = frozen(session, make_project(session))

        with pytest.raises(InvalidInput, match=f"no audit {elsewhere.id}"):
            start_release(session, project, AUDITED._replace(audit_id=elsewhere.id), None)

    def test_draws(self, session: Session, project: Project) -> None:
        audit = frozen(session, project)
        read_all(session, audit, lot_of(session, audit)[:3])

        with pytest.raises(Conflict, match=r"after 3 draws up to [0-9]+ defects are not ruled out"):
            start_release(session, project, AUDITED, None)

    def test_the_census(self, session: Session, project: Project) -> None:
        make_instances(session, project, 2, verdict="fail")
        audit = frozen(session, project, census="read")
        read_all(session, audit, lot_of(session, audit))

        with pytest.raises(Conflict, match="0 of the 2 suspicious rows"):
            start_release(session, project, AUDITED, None)

    def test_fewer_defects(self, session: Session, project: Project) -> None:
        audit = frozen(session, project)
        for row in lot_of(session, audit)[:9]:
            read(session, audit, row, defect=True)

        with pytest.raises(Conflict, match="9 defects are found, and 8 are tolerated"):
            start_release(session, project, AUDITED, None)

    def test_that_it_was_not_given_up(self, session: Session, project: Project) -> None:
        audit = frozen(session, project)
        certify(session, audit)
        audit.state, audit.why_closed = AuditState.ABANDONED, "a wrong filter"
        session.flush()

        with pytest.raises(Conflict, match=r"it was abandoned \(a wrong filter\)"):
            start_release(session, project, AUDITED, None)


def test_a_label_that_changes_before_the_release_is_built_stops_it(
    session: Session, project: Project
) -> None:
    audit = frozen(session, project)
    certify(session, audit, lot_of(session, audit)[:30])
    run = start_release(session, project, AUDITED, None)
    for row in lot_of(session, audit)[:9]:
        session.add(
            LabelChange(
                audit_id=audit.id,
                instance_id=row.instance_id,
                person_id=make_person(session).id,
                before=False,
                after=True,
                why="found later",
            )
        )
    session.flush()

    with pytest.raises(Conflict, match="Not certified"):
        list(service.build_release(session, run))


def test_a_row_whose_origin_changed_is_not_released_as_audited(session: Session, project: Project) -> None:
    audit = frozen(session, project)
    certify(session, audit, lot_of(session, audit)[:30])
    changed = lot_of(session, audit)[35]
    session.get_one(Instance, changed.instance_id).generator = "another"
    session.flush()

    with pytest.raises(Conflict, match=f"row {changed.row_id} is not as it was frozen"):
        build(session, project, AUDITED)
