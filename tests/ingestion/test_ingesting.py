import gzip
import io
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.runs import progress_of
from app.errors import InvalidInput, NotFound
from app.ingestion import queries, service
from app.settings import settings
from app.storage.tables import Project, Rejection, Run, Snippet, Source
from tests.factories import make_person, make_project
from tests.ingestion.rows import csn_row, jsonl, numbered_row, written


def start(session: Session, project: Project, path: Path, license_: str | None = None) -> Run:
    return service.start_ingest(session, project, path, "auto", license_, None)


def ingest(session: Session, project: Project, path: Path, license_: str | None = None) -> Run:
    """Start a run and do its job to the end."""
    run = start(session, project, path, license_)
    for _ in service.ingest(session, run):
        session.commit()
    return run


def snippets(session: Session, project: Project) -> list[Snippet]:
    statement = select(Snippet).where(Snippet.project_id == project.id).order_by(Snippet.id)
    return list(session.scalars(statement))


def exhibits(session: Session, run: Run) -> list[Rejection]:
    return list(session.scalars(select(Rejection).where(Rejection.run_id == run.id).order_by(Rejection.id)))


def test_good_rows_become_snippets_in_their_order(session: Session, tmp_path: Path):
    project = make_project(session)

    ingest(session, project, written(tmp_path, jsonl(numbered_row(n) for n in range(20))), "mit")

    kept = snippets(session, project)
    assert [f"double_and_add_{n}(" in kept[n].code for n in range(20)] == [True] * 20
    assert (kept[0].name, kept[0].repo, kept[0].license) == ("double_and_add", "owner/numbers", "MIT")


def test_every_row_is_counted_once_under_what_became_of_it(session: Session, tmp_path: Path):
    project = make_project(session)
    rows: list[Any] = [
        *(numbered_row(n) for n in range(3)),
        numbered_row(0, docstring="Other words, same code."),
    ]
    rows += [csn_row(docstring="") for _ in range(7)]
    path = written(tmp_path, jsonl(rows) + b'{"half a line')

    run = ingest(session, project, path)

    progress = progress_of(session, run)
    assert progress.done == {"added": 3, "duplicate": 1, "no_comment": 7, "broken_line": 1}
    assert (progress.total, progress.pending) == (12, 0)


def test_the_ledger_shows_at_most_five_rows_of_each_rule_with_their_place(session: Session, tmp_path: Path):
    project = make_project(session)
    rows = [csn_row(docstring="") for _ in range(1500)] + [csn_row(language="cobol")]

    run = ingest(session, project, written(tmp_path, jsonl(rows)))

    shown = exhibits(session, run)
    assert [(one.rule, one.file, one.line) for one in shown] == [
        *(("no_comment", "rows.jsonl", line) for line in range(1, 6)),
        ("unknown_language", "rows.jsonl", 1501),
    ]
    assert all(one.why and one.excerpt for one in shown)


def test_ingesting_twice_adds_nothing_and_says_so(session: Session, tmp_path: Path):
    project = make_project(session)
    path = written(tmp_path, jsonl(numbered_row(n) for n in range(8)))
    ingest(session, project, path)

    again = ingest(session, project, path)

    assert len(snippets(session, project)) == 8
    assert progress_of(session, again).done == {"duplicate": 8}
    assert again.reason == "nothing new: all 8 functions are in the project already"
    assert f"snippet {snippets(session, project)[0].id} has the same code" in exhibits(session, again)[0].why


def test_another_project_has_its_own_snippets(session: Session, tmp_path: Path):
    path = written(tmp_path, jsonl([csn_row()]))
    first, second = make_project(session), make_project(session)

    ingest(session, first, path)
    ingest(session, second, path)

    assert len(snippets(session, first)) == len(snippets(session, second)) == 1


def test_rows_that_share_an_id_are_told_apart_by_their_code(session: Session, tmp_path: Path):
    project = make_project(session)
    rows = [numbered_row(1, id=0), numbered_row(2, id=0), numbered_row(1, id=0)]

    run = ingest(session, project, written(tmp_path, jsonl(rows)))

    assert progress_of(session, run).done == {"added": 2, "duplicate": 1}


def test_a_crash_between_two_steps_changes_no_count(session: Session, tmp_path: Path):
    project = make_project(session)
    rows = [
        numbered_row(n % 1600, docstring="" if n % 10 == 0 else "Doubles one and adds.") for n in range(2500)
    ]
    path = written(tmp_path, jsonl(rows), "rows.jsonl.gz")
    run = start(session, project, path)
    for _ in islice(service.ingest(session, run), 1):
        session.commit()
    for _ in islice(service.ingest(session, run), 1):
        session.rollback()  # the second step was lost with its process
    session.refresh(run)

    for _ in service.ingest(session, run):
        session.commit()

    assert progress_of(session, run).done == {"added": 1440, "duplicate": 810, "no_comment": 250}
    assert run.total == 2500
    assert len(snippets(session, project)) == 1440


def test_a_run_over_a_damaged_file_keeps_the_good_rows_and_says_where_it_broke(
    session: Session, tmp_path: Path
):
    project = make_project(session)
    whole = gzip.compress(jsonl(numbered_row(n, sha=str(n) * 40) for n in range(300)))
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(whole[:-200])

    run = ingest(session, project, path)

    done = progress_of(session, run).done
    assert done["broken_gzip"] == 1
    assert done["added"] == len(snippets(session, project)) > 0
    assert run.reason is not None
    assert run.reason.startswith(f"rows.jsonl.gz: after line {done['added']}")


def test_the_list_of_licences_of_a_project_is_kept(session: Session, tmp_path: Path):
    project = make_project(session, allowed_licenses=["MIT"])
    rows = [numbered_row(1), numbered_row(2, license="GPL-3.0-only")]

    run = ingest(session, project, written(tmp_path, jsonl(rows)), "MIT")

    assert progress_of(session, run).done == {"added": 1, "licence_not_allowed": 1}


def test_a_file_that_is_gone_when_the_run_begins_is_named(session: Session, tmp_path: Path):
    path = written(tmp_path, jsonl([csn_row()]))
    run = start(session, make_project(session), path)
    path.unlink()

    with pytest.raises(NotFound, match=r"rows\.jsonl is no longer"):
        list(service.ingest(session, run))


def upload(
    session: Session, content: bytes, name: str, format_: str = "auto", license_: str | None = None
) -> Run:
    person = make_person(session)
    project = make_project(session)
    return service.start_ingest_of_upload(
        session, project, io.BytesIO(content), name, format_, license_, person
    )


def uploads() -> list[Path]:
    return sorted((settings().files / "uploads").glob("*"))


def test_an_upload_is_kept_once_under_its_content_hash(session: Session):
    before = uploads()

    runs = [upload(session, jsonl([csn_row(sha="upload")]), "../../rows.jsonl") for _ in range(2)]

    assert len(uploads()) == len(before) + 1
    sources = [session.scalars(select(Source).where(Source.run_id == run.id)).one() for run in runs]
    assert {source.name for source in sources} == {"rows.jsonl"}
    assert len({source.location for source in sources}) == 1
    assert [list(service.ingest(session, run)) for run in runs] == [[None], [None]]


@pytest.mark.parametrize(
    ("content", "format_", "license_", "field"),
    [
        (b"", "auto", None, "file"),
        (b"{}", "xml", None, "format"),
        (b"{}", "auto", "Free for all", "license"),
    ],
)
def test_a_refused_upload_leaves_nothing_behind(
    session: Session, content: bytes, format_: str, license_: str | None, field: str
):
    before = uploads(), session.scalars(select(Run.id)).all()

    with pytest.raises(InvalidInput) as refused:
        upload(session, content, "rows.jsonl", format_, license_)

    assert refused.value.field == field
    assert (uploads(), session.scalars(select(Run.id)).all()) == before


def test_snippets_are_listed_by_language_licence_source_and_text(session: Session, tmp_path: Path):
    project = make_project(session)
    go = "func Double(x int) int {\n\t// two of them\n\ttwice := 2 * x\n\treturn twice\n}"
    rows = [numbered_row(1), csn_row(code=go, language="go", path="100%/double.go", license="MIT")]
    run = ingest(session, project, written(tmp_path, jsonl(rows)))
    source = queries.source_of_run(session, run.id)

    def listed(**wanted: Any) -> list[str]:
        chosen = queries.SnippetFilter(**wanted)
        return [one.language for one in queries.snippets_of(session, project.id, chosen, None, 10)]

    assert listed() == listed(source_id=source.id) == ["python", "go"]
    assert listed(language="go") == listed(license="MIT") == listed(text="0%/DOUBLE") == ["go"]
    assert listed(license="unknown") == ["python"]
    assert listed(text="_") == ["python", "go"]
    assert listed(source_id=source.id + 1) == []
    assert queries.snippets_by_language(session, project.id) == {"go": 1, "python": 1}
