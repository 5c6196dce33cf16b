import gzip
import io
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.runs import progress_of
from app.errors import InvalidInput
from app.ingestion import importing
from app.ingestion.importing import Asked
from app.pipeline import InstanceStatus, RunKind
from app.prompting.exemplars import text_hash
from app.settings import settings
from app.storage.tables import Evidence, ImportedRecord, Instance, Project, Rejection, Revision, Run, Source
from tests.factories import make_person, make_project
from tests.ingestion.rows import jsonl, written
from tests.ingestion.sets import alpaca_row, argilla_record, codeocean_row


def bring(session: Session, project: Project, path: Path, asked: Asked = Asked()) -> Run:
    """Start a run and do its job to the end."""
    run = importing.start_import(session, project, path, asked, None)
    for _ in importing.import_set(session, run):
        session.commit()
        progress = progress_of(session, run)
        assert progress.total == sum(progress.done.values()) + progress.pending
    return run


def instances(session: Session, project: Project) -> list[Instance]:
    statement = select(Instance).where(Instance.project_id == project.id).order_by(Instance.id)
    return list(session.scalars(statement))


def exhibits(session: Session, run: Run) -> list[Rejection]:
    return list(session.scalars(select(Rejection).where(Rejection.run_id == run.id).order_by(Rejection.id)))


def test_rows_become_instances_that_wait_with_their_first_revision_and_no_verdict(
    session: Session, tmp_path: Path
):
    project = make_project(session)

    run = bring(session, project, written(tmp_path, jsonl(alpaca_row(n) for n in range(3))))

    first, *_ = found = instances(session, project)
    assert [one.instruction.split()[6] for one in found] == ["0", "1", "2"]
    assert {(one.status, one.verdict, one.discriminator, one.revision) for one in found} == {
        (InstanceStatus.WAITING, None, "", 0)
    }
    assert (first.pick_id, first.snippet_id, first.run_id) == (None, None, run.id)
    assert first.text_hash == text_hash(first.task, first.instruction, first.information, first.solution)
    revision = session.scalars(select(Revision).where(Revision.instance_id == first.id)).one()
    assert (revision.number, revision.person_id, revision.solution) == (0, None, first.solution)
    assert session.scalars(select(Evidence).where(Evidence.instance_id == first.id)).all() == []
    assert (run.kind, progress_of(session, run).done, run.reason) == (RunKind.IMPORT, {"added": 3}, None)


def test_what_came_with_a_record_stands_beside_its_instance(session: Session, tmp_path: Path):
    project = make_project(session)
    odd = argilla_record(metadata={"weight": float("inf"), "note": "a\0b"})

    bring(session, project, written(tmp_path, json.dumps([argilla_record(), odd]).encode(), "export.json"))

    (one,) = instances(session, project)  # the same text twice
    record = session.get_one(ImportedRecord, one.id)
    assert (record.line, record.external_id, record.license) == (1, "mine-3", None)
    assert [said["question"] for said in record.kept["responses"]] == ["quality", "quality", "corrected"]
    assert one.generator == "a-model"


def test_what_no_database_keeps_is_kept_in_words(session: Session, tmp_path: Path):
    project = make_project(session)
    row = alpaca_row(weight=float("inf"), **{"no\0te": "a\0b\ud800"})

    bring(session, project, written(tmp_path, json.dumps([row]).encode(), "set.json"))

    kept = session.get_one(ImportedRecord, instances(session, project)[0].id).kept
    assert kept == {"weight": "inf", "no�te": "a�b�"}


def test_every_row_is_counted_once_and_the_first_of_each_rule_are_shown_with_their_line(
    session: Session, tmp_path: Path
):
    project = make_project(session)
    rows: list[Any] = [alpaca_row(1), alpaca_row(1), alpaca_row(2, output=" "), ["no", "object"]]
    rows += [{"instruction": "Add.", "input": ""}] * 7
    path = written(tmp_path, jsonl(rows) + b'{"half a line', "set.jsonl.gz")

    run = bring(session, project, path)

    progress = progress_of(session, run)
    assert progress.done == {
        "added": 1,
        "duplicate": 1,
        "empty_text": 1,
        "not_an_object": 1,
        "missing_field": 7,
        "broken_line": 1,
    }
    assert (progress.total, progress.pending) == (12, 0)
    shown = exhibits(session, run)
    assert {(one.rule, one.line) for one in shown} == {
        ("duplicate", 2),
        ("empty_text", 3),
        ("not_an_object", 4),
        *(("missing_field", line) for line in range(5, 10)),
        ("broken_line", 12),
    }
    copy = next(one for one in shown if one.rule == "duplicate")
    assert copy.why == f"instance {instances(session, project)[0].id} has the same text"
    assert {one.file for one in shown} == {"set.jsonl.gz"}


def test_a_second_import_adds_nothing_even_of_what_people_have_edited(session: Session, tmp_path: Path):
    project = make_project(session)
    path = written(tmp_path, jsonl(alpaca_row(n) for n in range(4)))
    bring(session, project, path)
    edited = instances(session, project)[0]
    edited.instruction, edited.revision, edited.text_hash = "Another one.", 1, "0" * 64
    session.flush()

    again = bring(session, project, path)

    assert progress_of(session, again).done == {"duplicate": 4}
    assert again.reason == "nothing new: all 4 rows are in the project already"
    assert exhibits(session, again)[0].why == f"instance {edited.id} has the same text"


def test_the_same_set_in_another_project_is_new(session: Session, tmp_path: Path):
    path = written(tmp_path, jsonl([alpaca_row()]))

    projects = [make_project(session), make_project(session)]
    for project in projects:
        bring(session, project, path)

    assert [len(instances(session, project)) for project in projects] == [1, 1]


def test_a_crash_between_two_steps_changes_no_count(session: Session, tmp_path: Path):
    project = make_project(session)
    path = written(
        tmp_path, jsonl(alpaca_row(n % 1600, output="" if n % 10 == 0 else "x = 1") for n in range(2500))
    )
    run = importing.start_import(session, project, path, Asked(), None)
    for _ in islice(importing.import_set(session, run), 2):  # counted, and the first thousand kept
        session.commit()
    for _ in islice(importing.import_set(session, run), 1):
        session.rollback()  # this step was lost with its process
    session.refresh(run)

    for _ in importing.import_set(session, run):
        session.commit()

    assert progress_of(session, run).done == {"added": 1440, "duplicate": 810, "empty_text": 250}
    assert run.total == 2500
    assert len(instances(session, project)) == 1440


def test_a_damaged_file_keeps_what_stands_before_and_says_where_it_broke(session: Session, tmp_path: Path):
    project = make_project(session)
    path = tmp_path / "set.json"
    path.write_bytes(gzip.compress(json.dumps([alpaca_row(n) for n in range(3)]).encode()[:-30]))

    run = bring(session, project, path)

    assert progress_of(session, run).done == {"added": 2, "broken_array": 1}
    assert run.reason is not None
    assert run.reason.startswith("set.json: after record 2: ")


def test_task_language_and_licence_of_the_set_are_for_rows_that_say_nothing(session: Session, tmp_path: Path):
    project = make_project(session)
    rows = [alpaca_row(1), alpaca_row(2, task="translation", language="java", license="MIT")]
    asked = Asked("alpaca", "cc-by-4.0", "summarization", "other")

    run = bring(session, project, written(tmp_path, jsonl(rows)), asked)

    found = instances(session, project)
    assert [(one.task, one.language) for one in found] == [
        ("summarization", "other"),
        ("translation", "java"),
    ]
    assert [session.get_one(ImportedRecord, one.id).license for one in found] == ["CC-BY-4.0", "MIT"]
    source = session.scalars(select(Source).where(Source.run_id == run.id)).one()
    assert (source.name, source.format, source.license) == ("rows.jsonl", "alpaca", "CC-BY-4.0")


def test_a_format_is_recognised_by_the_first_record_that_shows_one(session: Session, tmp_path: Path):
    path = written(tmp_path, b"{half\n" + jsonl([codeocean_row()]))

    run = importing.start_import(session, make_project(session), path, Asked(), None)

    assert run.params["format"] == "codeocean"


@pytest.mark.parametrize(
    ("content", "asked", "field", "words"),
    [
        (b'{"text": "x"}', Asked(), "format", "its first record has text"),
        (b"no json", Asked(), "format", "no record that could be read"),
        (b"PAR1....", Asked(), "file", "is a Parquet file"),
        (b"", Asked(), "file", "the file is empty"),
        (b"{}", Asked("xml"), "format", "unknown format “xml”: one of auto, codeocean, alpaca, argilla"),
        (b"{}", Asked(license="nearly free"), "license", "not an SPDX licence"),
        (b"{}", Asked(task="poetry"), "task", "unknown task “poetry”"),
        (b"{}", Asked(language="rust"), "language", "unknown language “rust”"),
    ],
)
def test_an_upload_that_is_no_set_is_refused_by_name_and_leaves_nothing(
    session: Session, content: bytes, asked: Asked, field: str, words: str
):
    before = sorted((settings().files / "uploads").glob("*")), session.scalars(select(Run.id)).all()

    with pytest.raises(InvalidInput, match=words.replace("(", r"\(")) as refused:
        importing.start_import_of_upload(
            session, make_project(session), io.BytesIO(content), "a.jsonl", asked, make_person(session)
        )

    assert refused.value.field == field
    assert (sorted((settings().files / "uploads").glob("*")), session.scalars(select(Run.id)).all()) == before


def test_a_refused_upload_does_not_take_the_file_of_another_import_away(session: Session):
    project, person = make_project(session), make_person(session)
    content = b'{"text": "shared"}'
    named = importing.start_import_of_upload(
        session, project, io.BytesIO(content), "a.jsonl", Asked("alpaca"), person
    )

    with pytest.raises(InvalidInput, match="shows none of the formats"):
        importing.start_import_of_upload(session, project, io.BytesIO(content), "a.jsonl", Asked(), person)

    assert list(importing.import_set(session, named))
