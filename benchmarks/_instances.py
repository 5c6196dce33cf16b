"""A project as large as the issues name, written by the database itself: snippets, instances, verdicts, people.

The code is of the Python standard library whatever the language says, with a number in each name; one snippet
serves four instances. Priorities are drawn apart from verdicts, so that the cards at the head of the queue differ.
Every instance has a verdict with seven rules, the judge's call, and six pieces of evidence.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from app.accounts.sessions import open_session
from app.storage.tables import Guideline, Membership, Person, Project
from benchmarks._product import functions
from tests.browser.real_code import CHECKS, RULES
from tests.factories import REASONS, make_project, make_run

FUNCTIONS = 600
LINES = (18, 48)  # about 30 on average
RARE_WORD = "platypus"  # in one of 5,000 instructions
FREQUENT_WORD = "function"  # in every instruction


class Seeded(NamedTuple):
    """A project and the cookies of the people who read in it."""

    project_id: int
    slug: str
    cookies: list[str]


def seed(database: Engine, instances: int, readers: int) -> Seeded:
    """A project with so many instances and signed-in readers."""
    with Session(database) as session:
        project = make_project(session, slug="large", name="Large", reasons=REASONS)
        session.add(Guideline(project_id=project.id, version=1, markdown="# What we keep\n\nWhat is right."))
        ingest = make_run(session, project, kind="ingest", state="completed", total=instances // 4)
        run = make_run(session, project, kind="generate", state="completed", total=instances)
        cookies = [_reader(session, project, number) for number in range(readers)]
        session.commit()
        values = {
            "project": project.id,
            "ingest": ingest.id,
            "run": run.id,
            "instances": instances,
            "readers": readers,
        }
    with database.begin() as connection:
        # The rows refer to each other by construction; asking so again for each takes minutes.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        _put_functions(connection)
        _put_rules(connection)
        with _indexes_made_after(connection, *_FILLED):
            _run_all(connection, _STATEMENTS, values)
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))  # none of this is still to be written during the measurement
    return Seeded(values["project"], "large", cookies)


def _reader(session: Session, project: Project, number: int) -> str:
    """Somebody who may read here and is signed in; gives the cookie."""
    person = Person(name=f"reader{number}", password_hash="none")
    session.add(person)
    session.flush()
    session.add(Membership(person_id=person.id, project_id=project.id, role="annotator"))
    return open_session(session, person)


def _put_functions(connection: Connection) -> None:
    fitting = (row for row in functions("bench") if LINES[0] <= row["code"].count("\n") <= LINES[1])
    rows = [
        {
            "n": n,
            "name": row["func_name"],
            "path": row["path"],
            "comment": row["docstring"],
            "code": row["code"],
        }
        for n, row in enumerate(islice(fitting, FUNCTIONS))
    ]
    connection.execute(
        text("CREATE TEMP TABLE function (n int, name text, path text, comment text, code text)")
    )
    connection.execute(text("INSERT INTO function VALUES (:n, :name, :path, :comment, :code)"), rows)
    connection.execute(text("CREATE INDEX ON function (n)"))
    connection.execute(text("ANALYZE function"))


def _put_rules(connection: Connection) -> None:
    connection.execute(text("CREATE TEMP TABLE rule (n int, rule text, text text)"))
    connection.execute(
        text("INSERT INTO rule VALUES (:n, :rule, :text)"),
        [{"n": n, "rule": rule, "text": words} for n, (rule, words) in enumerate(RULES)],
    )
    connection.execute(text("CREATE TEMP TABLE finding (n int, kind text, result text, detail text)"))
    connection.execute(
        text("INSERT INTO finding VALUES (:n, :kind, :result, :detail)"),
        [
            {"n": n, "kind": kind, "result": result, "detail": detail}
            for n, (kind, result, detail) in enumerate(CHECKS)
        ],
    )


@contextmanager
def _indexes_made_after(connection: Connection, *tables: str) -> Iterator[None]:
    """Without the indexes of these tables but those of keys; a trigram index is made in a tenth of the time later."""
    found = connection.execute(
        text(
            "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index"
            " WHERE indrelid = ANY (:tables ::regclass[]) AND NOT indisunique"
        ),
        {"tables": list(tables)},
    ).all()
    for name, _ in found:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    yield
    for _, definition in found:
        connection.exec_driver_sql(definition)


def _run_all(connection: Connection, statements: dict[str, str], values: dict[str, Any]) -> None:
    for what, statement in statements.items():
        began = time.monotonic()
        rows = connection.execute(text(statement), values).rowcount
        print(f"{what}: {rows:,} rows in {time.monotonic() - began:.1f} s", flush=True)


_ONE_OF = "(ARRAY[{}])[1 + floor(random() * {})::int]"


def _one_of(*words: str) -> str:
    return _ONE_OF.format(", ".join(f"'{word}'" for word in words), len(words))


_FILLED = ("snippet", "instance", "decision", "work_item", "call", "verdict")
_STATEMENTS = {
    "source": """
        INSERT INTO source (project_id, run_id, name, format, location)
        VALUES (:project, :ingest, 'rows.jsonl', 'codesearchnet', '')""",
    "snippets": f"""
        INSERT INTO snippet (
            project_id, source_id, language, name, comment, code, repo, path, sha, url, license, content_hash)
        SELECT :project, (SELECT max(id) FROM source), {_one_of("go", "java", "javascript", "php", "python", "ruby")},
            name || '_' || n_th, comment, replace(code, 'def ' || name, 'def ' || name || '_' || n_th),
            'owner/repository' || n_th % 997, replace(path, '.py', '_' || n_th % 89 || '.py'), repeat('0', 40),
            'https://example.org/' || n_th, CASE WHEN n_th % 20 > 0 THEN 'MIT' END, md5(n_th::text) || md5(name)
        FROM generate_series(0, :instances / 4 - 1) AS n_th
        JOIN function ON function.n = n_th % (SELECT count(*) FROM function)""",
    "instances": f"""
        INSERT INTO instance (
            project_id, run_id, snippet_id, candidate, task, language, target_language, bug, status, task_name,
            instruction, information, solution, text_hash, revision, verdict, contradictory, priority, generator,
            discriminator)
        SELECT :project, :run, snippet.id, 0, task, language,
            CASE task WHEN 'translation' THEN 'rust' END, CASE task WHEN 'repair' THEN 'negated return value' END,
            CASE WHEN chance < 0.85 THEN 'waiting' WHEN chance < 0.95 THEN 'accepted' WHEN chance < 0.998 THEN 'rejected'
                ELSE 'unusable' END,
            'code ' || task,
            CASE task
                WHEN 'summarization' THEN 'Summarise what the ' || language || ' function ' || name || ' does.'
                WHEN 'generation' THEN 'Write a function in ' || language || ': ' || split_part(comment, E'\\n\\n', 1)
                WHEN 'translation' THEN 'Translate the ' || language || ' function ' || name || ' to Rust.'
                ELSE 'Find and repair the bug in the ' || language || ' function ' || name || '.' END
                || CASE WHEN random() < 0.0002 THEN ' Mention a {RARE_WORD}.' ELSE '' END,
            CASE task
                WHEN 'generation' THEN split_part(code, E'\\n', 1)
                WHEN 'repair' THEN replace(code, 'return ', 'return not ')
                ELSE code END,
            CASE task WHEN 'summarization' THEN comment ELSE code END,
            md5(task || snippet.id) || md5(name), 0,
            CASE WHEN drawn < 0.6 THEN 'pass' WHEN drawn < 0.97 THEN 'fail' ELSE 'invalid' END, drawn > 0.95,
            {_one_of("10", "20", "30", "40", "50")}::int, 'offline', 'offline'
        FROM (
            SELECT *, random() AS chance, random() AS drawn
            FROM snippet
            CROSS JOIN (VALUES ('summarization'), ('generation'), ('translation'), ('repair')) AS asked (task)
            WHERE project_id = :project) AS snippet""",
    "earlier decisions": """
        INSERT INTO decision (project_id, instance_id, person_id, stream, action, note, reason, revision, created_at)
        SELECT :project, id, (SELECT min(id) FROM person WHERE name LIKE 'reader%') + id % :readers, 'work',
            CASE status WHEN 'accepted' THEN 'accept' ELSE 'reject' END, '',
            CASE status WHEN 'rejected' THEN 'incorrect' END, 0, now() - random() * interval '60 days'
        FROM instance WHERE project_id = :project AND status IN ('accepted', 'rejected')""",
    "work items": """
        INSERT INTO work_item (run_id, stage, source_id, state, outcome, attempts, lease_epoch, finished_at)
        SELECT :run, 'discriminate', id, 'succeeded', 'passed', 1, 1, now()
        FROM instance WHERE project_id = :project AND status <> 'unusable' ORDER BY id""",
    "calls": """
        INSERT INTO call (
            run_id, item_id, stage, source_id, attempt, model, state, request_hash, template_hash, closed_at,
            latency_ms, prompt_tokens, completion_tokens, reserved_micro, cost_micro, reply, usable, finish_reason)
        SELECT run_id, id, stage, source_id, 1, 'test', 'done', md5(id::text), repeat('0', 64), now(), 900, 812, 96,
            0, 40, '{"overall": "yes"}', true, 'stop'
        FROM work_item WHERE run_id = :run ORDER BY id""",
    "verdicts": """
        INSERT INTO verdict (instance_id, call_id, revision, overall, claimed, contradictory, rules_hash)
        SELECT instance.id, call.id, 0, verdict, 'pass', contradictory, repeat('0', 64)
        FROM call JOIN instance ON instance.id = call.source_id WHERE call.run_id = :run ORDER BY call.id""",
    "rule answers": """
        INSERT INTO rule_answer (verdict_id, rule, text, required, checked_by, answer, reason)
        SELECT verdict.id, rule, text, true, 'model',
            CASE WHEN overall = 'fail' AND rule.n = verdict.id % 7 THEN 'no' ELSE 'yes' END,
            CASE WHEN overall = 'fail' AND rule.n = verdict.id % 7
                THEN 'It is used before anything binds it, in the third line.' ELSE '' END
        FROM verdict CROSS JOIN rule ORDER BY verdict.id, rule.n""",
    "evidence": """
        INSERT INTO evidence (instance_id, revision, kind, result, detail)
        SELECT instance_id, 0, kind, result, detail
        FROM verdict CROSS JOIN finding ORDER BY verdict.id, finding.n""",
}
