"""Rows that are valid by default. A test names only what it is about."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from app.pipeline import InstanceStatus, RunKind, RunState, Stage, Task
from app.storage.tables import (
    Call,
    Instance,
    Membership,
    Person,
    Pick,
    Project,
    Run,
    Selection,
    Snippet,
    Source,
    WorkItem,
)

_numbers: Iterator[int] = count(1)

REASONS = ["incorrect", "incomplete", "unclear", "irrelevant", "unsafe", "duplicate", "other"]


def _add(session: Session, row: Any) -> Any:
    session.add(row)
    session.flush()
    return row


def make_person(
    session: Session, role: str = "annotator", project: Project | None = None, **values: Any
) -> Person:
    values = {"name": f"person{next(_numbers)}", "password_hash": "not a hash"} | values
    person: Person = _add(session, Person(**values))
    _add(session, Membership(person_id=person.id, project_id=project.id if project else None, role=role))
    return person


def make_project(session: Session, **values: Any) -> Project:
    number = next(_numbers)
    values = {"slug": f"project-{number}", "name": f"Project {number}", "reasons": REASONS} | values
    project: Project = _add(session, Project(**values))
    return project


def make_run(session: Session, project: Project | None = None, **values: Any) -> Run:
    project = project or make_project(session)
    values = {"kind": RunKind.GENERATE, "state": RunState.RUNNING, "params": {}} | values
    run: Run = _add(session, Run(project_id=project.id, **values))
    return run


def make_snippet(session: Session, project: Project | None = None, **values: Any) -> Snippet:
    project = project or make_project(session)
    number = next(_numbers)
    source = _add(
        session,
        Source(
            project_id=project.id,
            run_id=make_run(session, project, kind=RunKind.INGEST).id,
            name="rows.jsonl",
            format="codesearchnet",
            location="",
        ),
    )
    values = {
        "language": "python",
        "name": f"add_{number}",
        "comment": "Add one to a number.",
        "code": f"def add_{number}(x):\n    return x + 1\n",
        "repo": "owner/repository",
        "path": "package/module.py",
        "sha": "0" * 40,
        "url": "",
        "license": "MIT",
        "content_hash": f"{number:064x}",
    } | values
    snippet: Snippet = _add(session, Snippet(project_id=project.id, source_id=source.id, **values))
    return snippet


def make_pick(session: Session, snippet: Snippet | None = None, **values: Any) -> Pick:
    snippet = snippet or make_snippet(session)
    project = session.get_one(Project, snippet.project_id)
    run = make_run(session, project, kind=RunKind.SELECT, state=RunState.COMPLETED)
    selection = _add(
        session, Selection(project_id=project.id, run_id=run.id, k=1, seed=0, embedder="test", coverage={})
    )
    pick: Pick = _add(
        session,
        Pick(**({"selection_id": selection.id, "snippet_id": snippet.id, "rank": 1, "radius": 1.0} | values)),
    )
    return pick


def make_instance(
    session: Session, pick: Pick | None = None, run: Run | None = None, **values: Any
) -> Instance:
    pick = pick or make_pick(session)
    snippet = session.get_one(Snippet, pick.snippet_id)
    run = run or make_run(session, session.get_one(Project, snippet.project_id))
    values = {
        "task": Task.GENERATION,
        "language": snippet.language,
        "status": InstanceStatus.WAITING,
        "task_name": "code generation",
        "instruction": "Write a Python function that adds one to a number.",
        "information": "",
        "solution": snippet.code,
        "generator": "offline",
        "discriminator": "offline",
    } | values
    instance: Instance = _add(
        session,
        Instance(
            project_id=snippet.project_id, run_id=run.id, pick_id=pick.id, snippet_id=snippet.id, **values
        ),
    )
    return instance


def make_item(
    session: Session, instance: Instance, stage: Stage = Stage.DISCRIMINATE, **values: Any
) -> WorkItem:
    item: WorkItem = _add(
        session, WorkItem(**({"run_id": instance.run_id, "stage": stage, "source_id": instance.id} | values))
    )
    return item


def make_call(session: Session, item: WorkItem, reply: str, **values: Any) -> Call:
    values = {
        "attempt": 1,
        "model": "test",
        "state": "done",
        "request_hash": "0" * 64,
        "template_hash": "0" * 64,
        "finish_reason": "stop",
        "reply": reply,
    } | values
    call: Call = _add(
        session,
        Call(run_id=item.run_id, item_id=item.id, stage=item.stage, source_id=item.source_id, **values),
    )
    return call
