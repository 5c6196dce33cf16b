"""A project in which everything has happened once, so that no page of it is empty."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.discrimination.rulebook import SHIPPED, moved, with_retired
from app.discrimination.service import save_book
from app.examples.service import set_standing
from app.generation.plan import Planned
from app.generation.prompts import template
from app.pipeline import (
    Action,
    AuditState,
    InstanceStatus,
    ItemState,
    Outcome,
    RunKind,
    RunState,
    Scope,
    Stage,
    Standing,
    Stream,
    Task,
    Verdict,
)
from app.prompting.exemplars import Case, exemplar_of
from app.storage.bank import keep_templates
from app.storage.tables import (
    ApiToken,
    Audit,
    BulkAction,
    Call,
    CallTally,
    Decision,
    Exemplar,
    Goal,
    GuidelineSeen,
    ImportedRecord,
    Instance,
    LabelChange,
    LogEntry,
    Person,
    Price,
    Project,
    Rejection,
    Release,
    ReplayVerdict,
    Revision,
    Run,
    RunCount,
    RunEvent,
    Selection,
    Snippet,
    Source,
    VerdictRow,
)
from app.storage.versions import add_version
from tests.audit.lots import lot_of, make_audit, read, read_all
from tests.browser.all_pages import Ids
from tests.factories import make_call, make_item, make_person, make_run
from tests.review.review_cases import judged

_CURVE = [
    {"size": size, "largest": 1.4 / size, "mean": 1 / size, "random_largest": 1.41, "random_mean": 0.9 / size}
    for size in (1, 4, 10)
]
_MANIFEST = {
    "rows": 1,
    "sha256": "0" * 64,
    "splits": {"train": 1},
    "files": [
        {
            "name": "codeocean.train.jsonl",
            "format": "codeocean",
            "split": "train",
            "rows": 1,
            "bytes": 999,
            "sha256": "0" * 64,
        }
    ],
    "gates": {"licence": {"mode": "block", "found": 1, "removed": 1}, "contamination": "not checked yet"},
    "funnel": {"snippets": 12, "released": 1},
}


def use(session: Session, project: Project, person: Person) -> Ids:
    """Everything that may happen, to the instances that are there; returns the rows to open."""
    instances = session.scalars(
        select(Instance).where(Instance.project_id == project.id).order_by(Instance.id)
    ).all()
    session.add(GuidelineSeen(person_id=person.id, project_id=project.id, version=1))
    decision = _decide(session, instances[0], person)
    bulk = BulkAction(project_id=project.id, person_id=person.id, action=Action.REJECT, filters={}, count=3)
    session.add(bulk)
    brought = _import(session, project)
    runs = [_generation(session, instances), _ingestion(session), brought.run_id]
    _release(session, project)
    _cover(session)
    _read_twice(session, instances[3:], [make_person(session, project=project) for _ in range(3)])
    session.add(Price(model="test", input_micro=150_000, output_micro=600_000))
    session.add(
        ApiToken(person_id=person.id, name="cluster", scope=Scope.REVIEW, prefix="bw_ab", token_hash="0")
    )
    session.add(
        LogEntry(person_id=person.id, action="added a source", subject="rows.jsonl", detail={"rows": 12})
    )
    session.flush()
    audits = _audits(session, project, person)
    replay = _replay(session, project, instances[0], decision)
    call_id, try_id = _prompts(session, project, person, instances[1])
    return {
        "audit_id": audits,
        "/adjudication/audits/{audit_id}/{instance_id}": [_disputed_draw(session, audits[0])],
        "/prompts/{kind}/{task}/tries/{run_id}": [f"/prompts/generate/generation/tries/{try_id}"],
        "/runs/{run_id}/reparse": [f"/runs/{runs[0]}/reparse"],
        "/quality/replays/{run_id}": [f"/quality/replays/{replay}"],
        "bulk_action_id": [bulk.id],
        "call_id": [call_id],
        "decision_id": [decision.id],
        "exemplar_id": [_example(session, project, person, instances[0])],
        "instance_id": [instances[0].id, instances[1].id, brought.id],
        "kind": ["generate", "judge"],
        "name": ["first"],
        "person_id": [person.id],
        "rule": ["readable"],
        "run_id": [*runs, try_id],
        "selection_id": [session.scalar(select(func.min(Selection.id)))],
        "snippet_id": [session.scalar(select(func.min(Snippet.id)))],
        "source_id": session.scalars(select(func.min(Source.id)).group_by(Source.format)).all(),
        "task": ["generation", "generation"],
    }


def _example(session: Session, project: Project, person: Person, instance: Instance) -> int:
    """A case that people made and pinned."""
    case = Case(instance.instruction, instance.information, instance.solution, True, "A reader accepted it.")
    row = Exemplar(
        project_id=project.id,
        instance_id=instance.id,
        origin="person",
        **exemplar_of(instance.task, instance.language, case),
    )
    session.add(row)
    session.flush()
    set_standing(session, project, person, row.id, Standing.PINNED, "As it should be.")
    return row.id


def _prompts(session: Session, project: Project, person: Person, instance: Instance) -> tuple[int, int]:
    """A version of a prompt and of the rules that wait; a call whose template is kept; a try with a reply."""
    shipped = template(Task.GENERATION)
    keep_templates(session, [shipped._replace(content_hash="0" * 64)])
    content = shipped.content.replace("The logic is readable", "Anybody can read the logic")
    add_version(session, project.id, shipped.name, content, person.id, "plainer")
    rules = with_retired(moved(SHIPPED, "readable", Task.GENERATION, -1), "code_only", retired=True)
    save_book(session, project, rules, person.id, "code_only is said elsewhere")
    asked = select(Call.id).where(Call.source_id == instance.id, Call.stage == Stage.GENERATE)
    pick_id = str(instance.pick_id)
    planned = Planned(
        instance.pick_id or 0, instance.snippet_id or 0, "python", Task.GENERATION, 0, None, None
    )
    params = {
        "prompt": shipped.name,
        "version": "1",
        "task": "generation",
        "count": 1,
        "seed": 0,
        "generator": "test",
        "subjects": {pick_id: "one in python"},
        "plan": {pick_id: planned._asdict()},
    }
    run = make_run(session, project, kind=RunKind.TRY, state=RunState.COMPLETED, params=params, total=1)
    item = make_item(session, instance, Stage.TRY_PROMPT, run_id=run.id, source_id=instance.pick_id)
    make_call(session, item, '{"task_name": "code generation", "instruction": "I", "solution": "S"')
    return session.scalars(asked).one(), run.id


def _audits(session: Session, project: Project, person: Person) -> list[int]:
    """One that is read, with a defect, a disagreement and a change; a certified one; an abandoned one."""
    being_read = make_audit(session, project, person, max_defect_rate=0.4, census="read")
    first, second, *_ = lot_of(session, being_read)
    read(session, being_read, first, by=person)
    read(session, being_read, second, defect=True, edit="What it should have said.", by=person)
    session.add(
        LabelChange(
            audit_id=being_read.id,
            instance_id=first.instance_id,
            person_id=person.id,
            before=False,
            after=True,
            why="found later",
            note="It never terminates.",
        )
    )
    certified = make_audit(session, project, person, max_defect_rate=0.4)
    read_all(session, certified, lot_of(session, certified))
    certified.state = AuditState.CERTIFIED
    abandoned = make_audit(session, project, person)
    abandoned.state, abandoned.why_closed = AuditState.ABANDONED, "The wrong filter."
    session.flush()
    return [being_read.id, certified.id, abandoned.id]


def _disputed_draw(session: Session, audit_id: int) -> str:
    """The page of a draw that one reader corrected, and another one found ok."""
    audit = session.get_one(Audit, audit_id)
    row = lot_of(session, audit)[2]
    row.twice = True
    read(session, audit, row, defect=True, edit="What one of them wants.")
    read(session, audit, row)
    return f"/adjudication/audits/{audit_id}/{row.instance_id}"


def _decide(session: Session, instance: Instance, person: Person) -> Decision:
    """An edit: a second revision."""
    for number, text in enumerate((instance.instruction, instance.instruction + " Keep blank lines.")):
        session.add(
            Revision(
                instance_id=instance.id,
                number=number,
                person_id=person.id if number else None,
                instruction=text,
                information=instance.information,
                solution=instance.solution,
            )
        )
        instance.instruction, instance.revision = text, number
    instance.status = InstanceStatus.ACCEPTED
    decision = Decision(
        project_id=instance.project_id,
        instance_id=instance.id,
        person_id=person.id,
        stream=Stream.WORK,
        action=Action.EDIT,
        note="It said nothing about blank lines.",
        revision=0,
        new_revision=1,
    )
    session.add(decision)
    session.flush()
    return decision


def _replay(session: Session, project: Project, instance: Instance, decision: Decision) -> int:
    """Another judge passes what people edited, and the first one did not."""
    verdict = session.scalars(select(VerdictRow).where(VerdictRow.instance_id == instance.id)).first()
    verdict = verdict or judged(session, instance)
    decision.verdict_id = verdict.id
    run = make_run(session, project, kind=RunKind.REPLAY, state=RunState.COMPLETED, total=1)
    run.params = {"discriminator": "another-judge", "most": 1}
    other = Verdict.PASS if verdict.overall == Verdict.FAIL else Verdict.FAIL
    session.add(
        ReplayVerdict(
            run_id=run.id, instance_id=instance.id, verdict_id=verdict.id, is_good=False, overall=other
        )
    )
    session.flush()
    return run.id


def _read_twice(session: Session, instances: Sequence[Instance], people: Sequence[Person]) -> None:
    """Read by two of three people, over and over in new rounds: they disagree about one in five and about the last."""
    answers = (Action.ACCEPT, Action.ACCEPT, Action.EDIT, Action.REJECT)
    for number in range(100):
        instance = instances[number % len(instances)]
        instance.round = number // len(instances)
        said = (answers[number % 4], answers[(number + (number % 5 == 4)) % 4])
        for person, action in zip(list(combinations(people, 2))[number % 3], said, strict=True):
            session.add(
                Decision(
                    project_id=instance.project_id,
                    instance_id=instance.id,
                    person_id=person.id,
                    stream=Stream.WORK,
                    action=action,
                    revision=0,
                    round=instance.round,
                    created_at=func.now() - timedelta(minutes=100 - number),
                    leased_at=func.now() - timedelta(minutes=100 - number, seconds=20 + number % 7),
                )
            )
    instance.status = InstanceStatus.DISPUTED
    session.flush()


def _generation(session: Session, instances: Sequence[Instance]) -> int:
    """A paused run with goals, an unusable reply and a call whose end nobody knows."""
    run = session.get_one(Run, instances[0].run_id)
    run.state, run.reason, run.total = RunState.PAUSED, "the budget is used up", 10
    run.params = {"generator": "test", "discriminator": "offline", "seed": 1}
    run.budget_micro, run.cost_micro = 12_000_000, 11_900_000
    session.add(Goal(run_id=run.id, lane="generation/python", wanted=8, planned=10, let_go=4, passed=3))
    session.add(RunCount(run_id=run.id, code=Outcome.PASSED, rows=8))
    session.add(RunCount(run_id=run.id, code=Outcome.UNUSABLE, rows=1))
    session.add(RunEvent(run_id=run.id, event="paused", detail="the budget is used up"))
    session.add(CallTally(run_id=run.id, stage="discriminate", model="test", state="done", calls=9))
    ended = {"state": ItemState.FAILED, "outcome": Outcome.UNUSABLE, "error_code": "unparsable"}
    item = make_item(session, instances[1], Stage.GENERATE, lane="generation/python", **ended)
    make_call(session, item, '{"instruction": "cut o')
    lost = make_item(session, instances[2], Stage.GENERATE, error_code="timeout", attempts=1)
    make_call(session, lost, "", state="unknown", error_code="connection_lost", reserved_micro=1200)
    return run.id


def _ingestion(session: Session) -> int:
    run = session.get_one(Run, session.scalars(select(Source.run_id).order_by(Source.id)).first())
    run.state, run.total = RunState.COMPLETED, 12
    session.add(RunCount(run_id=run.id, code="added", rows=11))
    session.add(RunCount(run_id=run.id, code="too_short", rows=1))
    session.add(
        Rejection(run_id=run.id, rule="too_short", file="rows.jsonl", line=3, excerpt="x = 1", why="1 line")
    )
    return run.id


def _import(session: Session, project: Project) -> Instance:
    """A set of which one row was refused; the other brought a suggestion, an answer and other keys."""
    run = make_run(session, project, kind=RunKind.IMPORT, state=RunState.COMPLETED, total=2)
    run.params = {"source": "export.json", "format": "argilla", "license": None}
    session.add_all(RunCount(run_id=run.id, code=code, rows=1) for code in ("added", "empty_text"))
    session.add(
        Rejection(run_id=run.id, rule="empty_text", file="export.json", line=2, excerpt="{}", why="empty")
    )
    session.add(
        Source(project_id=project.id, run_id=run.id, name="export.json", format="argilla", location="")
    )
    instance = Instance(
        project_id=project.id,
        run_id=run.id,
        task="generation",
        language="other",
        status=InstanceStatus.WITHDRAWN,
        instruction="Add one to a number.",
        solution="x + 1",
        generator="imported",
    )
    session.add(instance)
    session.flush()
    kept = {
        "suggestions": [{"question": "quality", "value": 4, "score": 0.9, "agent": "a-judge"}],
        "responses": [{"question": "corrected", "value": "y + 1", "user_id": "u1", "status": "submitted"}],
        "metadata": {"topic": "numbers", "tags": ["short"]},
    }
    session.add(ImportedRecord(instance_id=instance.id, line=1, external_id="mine-3", kept=kept))
    session.flush()
    return instance


def _release(session: Session, project: Project) -> None:
    run = make_run(session, project, kind=RunKind.RELEASE, state=RunState.COMPLETED, total=1)
    session.add(
        Release(
            project_id=project.id,
            run_id=run.id,
            name="first",
            basis="people",
            request={},
            manifest=_MANIFEST,
            sha256="0" * 64,
            rows=1,
        )
    )


def _cover(session: Session) -> None:
    selection = session.get_one(Selection, session.scalar(select(func.min(Selection.id))))
    selection.coverage = {"curve": _CURVE, "shares": [{"language": "python", "snippets": 10, "picks": 10}]}
