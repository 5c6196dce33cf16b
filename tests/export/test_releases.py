"""A release holds what people accepted, says what was kept out, and never changes."""

import hashlib
import json
from typing import Any

import pyarrow.parquet
import pytest
from sqlalchemy.orm import Session

from app.errors import Conflict, InvalidInput
from app.export import service
from app.export.asking import Wanted
from app.export.service import build_release, start_release
from app.pipeline import Action, InstanceStatus, Stage, Stream
from app.rows.codeocean import row_hash
from app.storage.tables import Decision, Evidence, Exemplar, Instance, Project, Release, Revision
from tests.export.building import build, rows
from tests.factories import (
    make_call,
    make_instance,
    make_item,
    make_person,
    make_pick,
    make_project,
    make_snippet,
)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def accepted(session: Session, project: Project, action: Action = Action.ACCEPT, **snippet: Any) -> Instance:
    """An instance that a person accepted or edited; an edited one has two revisions."""
    picked = make_pick(session, make_snippet(session, project, **snippet))
    instance = make_instance(session, picked, status=InstanceStatus.ACCEPTED)
    texts = ["the model's", "a person's"] if action is Action.EDIT else ["the model's"]
    for number, text in enumerate(texts):
        instruction = f"{text} instruction {instance.id}"
        session.add(
            Revision(
                instance_id=instance.id,
                number=number,
                instruction=instruction,
                information="",
                solution=instance.solution,
            )
        )
        instance.revision, instance.instruction = number, instruction
    session.add(
        Decision(
            project_id=project.id,
            instance_id=instance.id,
            person_id=make_person(session, project=project).id,
            stream=Stream.WORK,
            action=action,
            revision=0,
        )
    )
    session.flush()
    return instance


def test_only_what_people_accepted_or_edited_is_in_it_with_the_text_they_left(
    session: Session, project: Project
) -> None:
    kept = accepted(session, project)
    edited = accepted(session, project, Action.EDIT)
    for status in (InstanceStatus.WAITING, InstanceStatus.REJECTED, InstanceStatus.UNUSABLE):
        make_instance(session, make_pick(session, make_snippet(session, project)), status=status)

    _, folder = build(session, project, Wanted("first"))

    found = rows(folder / "codeocean.train.jsonl")
    assert [row["id"] for row in found] == [f"{project.slug}-{kept.id}", f"{project.slug}-{edited.id}"]
    assert [row["decision"] for row in found] == ["accept", "edit"]
    assert found[1]["instruction"] == f"a person's instruction {edited.id}"
    assert found[1]["revision"] == 1
    assert all(row["hash"] == row_hash(row) for row in found)


def test_a_row_of_unknown_licence_is_kept_out_and_counted(session: Session, project: Project) -> None:
    accepted(session, project)
    accepted(session, project, license=None)

    run, folder = build(session, project, Wanted("first"))

    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["rows"] == 1
    assert manifest["gates"]["unknown_license"] == {"mode": "block", "found": 1, "removed": 1}
    assert manifest["gates"]["near_duplicate"] == "not checked"
    assert run.total == 2


def test_code_that_does_not_parse_is_found_and_kept_out_only_when_asked(
    session: Session, project: Project
) -> None:
    accepted(session, project)
    broken = accepted(session, project)
    session.add(Evidence(instance_id=broken.id, revision=0, kind="parses", result="fail"))
    session.flush()

    _, admitting = build(session, project, Wanted("admits"))
    _, blocking = build(session, project, Wanted("blocks", gates={"does_not_parse": "block"}))

    assert len(rows(admitting / "codeocean.train.jsonl")) == 2
    assert len(rows(blocking / "codeocean.train.jsonl")) == 1


def test_a_row_that_served_as_an_example_is_marked_and_left_out_when_asked(
    session: Session, project: Project
) -> None:
    accepted(session, project)
    served = accepted(session, project)
    texts = dict.fromkeys(("instruction", "information", "solution", "analysis", "content_hash"), "x")
    case = Exemplar(
        project_id=project.id,
        instance_id=served.id,
        task="generation",
        language="python",
        is_good=True,
        origin="person",
        **texts,
    )
    session.add(case)
    session.flush()
    make_call(session, make_item(session, served, Stage.GENERATE), "{}", good_exemplar_id=case.id)

    _, admitting = build(session, project, Wanted("admits"))
    _, blocking = build(session, project, Wanted("blocks", gates={"served_as_exemplar": "block"}))

    marked = [row["served_as_exemplar"] for row in rows(admitting / "codeocean.train.jsonl")]
    assert marked == [False, True]
    assert len(rows(blocking / "codeocean.train.jsonl")) == 1
    manifest = json.loads((blocking / "manifest.json").read_text())
    assert manifest["gates"]["served_as_exemplar"] == {"mode": "block", "found": 1, "removed": 1}


def test_every_format_has_the_same_rows_and_the_manifest_the_hashes_of_its_files(
    session: Session, project: Project
) -> None:
    for _ in range(5):
        accepted(session, project)

    _, folder = build(session, project, Wanted("first", formats=["alpaca", "messages", "sharegpt"]))

    manifest = json.loads((folder / "manifest.json").read_text())
    source = rows(folder / "codeocean.train.jsonl")
    alpaca = rows(folder / "alpaca.train.jsonl")
    assert [(row["instruction"], row["output"]) for row in alpaca] == [
        (row["instruction"], row["solution"]) for row in source
    ]
    assert rows(folder / "messages.train.jsonl")[0]["messages"][1]["content"] == source[0]["solution"]
    table = pyarrow.parquet.read_table(folder / "train.parquet")
    assert table.column("hash").to_pylist() == [row["hash"] for row in source]
    for file in manifest["files"]:
        content = (folder / file["name"]).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file["sha256"], file["bytes"])
    by_hand = hashlib.sha256("".join(f"train {row['hash']}\n" for row in source).encode()).hexdigest()
    assert manifest["sha256"] == by_hand


def test_the_same_rows_give_the_same_bytes(session: Session, project: Project) -> None:
    for _ in range(3):
        accepted(session, project)

    _, one = build(session, project, Wanted("one", formats=["alpaca"]))
    _, other = build(session, project, Wanted("other", formats=["alpaca"]))

    for name in ("codeocean.train.jsonl", "alpaca.train.jsonl", "train.parquet"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_a_format_that_was_not_asked_for_is_made_when_somebody_wants_it(
    session: Session, project: Project
) -> None:
    accepted(session, project)
    _, folder = build(session, project, Wanted("first"))
    assert not (folder / "sharegpt.train.jsonl").exists()

    path = service.file_of(session, project, "first", "sharegpt.train.jsonl")

    assert rows(path)[0]["conversations"][0]["from"] == "human"


def test_a_crash_in_the_middle_leaves_nothing_and_the_next_try_finishes(
    session: Session, project: Project
) -> None:
    accepted(session, project)
    run = start_release(session, project, Wanted("first"), None)
    half = build_release(session, run)
    next(half)
    next(half)
    half.close()

    for _ in build_release(session, run):
        session.flush()

    release = service.queries.release_of_run(session, run.id)
    folder = service.folder_of(project, release)
    assert sorted(path.name for path in folder.parent.parent.iterdir()) == [project.slug]
    assert release.rows == len(rows(folder / "codeocean.train.jsonl")) == 1


def test_a_repository_lies_on_one_side_of_a_split(session: Session, project: Project) -> None:
    for number in range(30):
        accepted(session, project, repo=f"owner/repository{number % 10}")

    _, folder = build(session, project, Wanted("first", splits={"train": 0.5, "test": 0.5}))

    sides = [
        {row["source"]["repo"] for row in rows(folder / f"codeocean.{split}.jsonl")}
        for split in ("train", "test")
    ]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 10
    assert all(sides)


def test_the_card_names_the_parquet_files_and_says_what_is_not_there(
    session: Session, project: Project
) -> None:
    accepted(session, project)

    _, folder = build(session, project, Wanted("first"))

    card = (folder / "README.md").read_text()
    assert "path: train.parquet" in card
    assert "Not audited" in card
    assert "offline" in card
    assert "| MIT | owner/repository | 1 |" in card


def test_a_name_is_used_once(session: Session, project: Project) -> None:
    accepted(session, project)
    build(session, project, Wanted("first"))

    with pytest.raises(Conflict, match="never changes"):
        start_release(session, project, Wanted("first"), None)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Wanted("../up"), "name"),
        (Wanted("latest"), "name"),
        (Wanted("x", basis="audit"), "basis"),
        (Wanted("x", audit_id=1), "audit_id"),
        (Wanted("x", basis="audited", filters={"tasks": ["repair"]}), "filters"),
        (Wanted("x", basis="audited", gates={"unknown_license": "admit"}), "gates"),
        (Wanted("x", basis="audited", audit_id=999_999_999), "audit_id"),
        (Wanted("x", formats=["docx"]), "formats"),
        (Wanted("x", splits={"train": 0.5}), "splits"),
        (Wanted("x", gates={"mood": "block"}), "gates"),
        (Wanted("x", filters={"tasks": ["poetry"]}), "filters"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_field(
    session: Session, project: Project, wanted: Wanted, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        start_release(session, project, wanted, None)

    assert refused.value.field == field


def test_an_empty_release_is_refused(session: Session, project: Project) -> None:
    with pytest.raises(Conflict, match="nothing would be in this release"):
        start_release(session, project, Wanted("first"), None)


def test_a_failed_release_lets_go_of_its_name(session: Session, project: Project) -> None:
    accepted(session, project)
    run = start_release(session, project, Wanted("first"), None)
    run.state = "failed"
    session.flush()

    again = start_release(session, project, Wanted("first"), None)

    assert session.query(Release).filter_by(run_id=again.id).count() == 1
