"""Instances made from functions of the standard library, so that pages are seen with real code on them."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from app.pipeline import Finding, Task, Verdict
from app.storage.tables import Evidence, Instance, Project, RuleAnswer, Run, Snippet, VerdictRow
from tests.factories import make_call, make_instance, make_item, make_pick, make_snippet

FUNCTIONS: list[Callable[..., Any]] = [
    textwrap.indent,
    textwrap.shorten,
    inspect.cleandoc,
    inspect.indentsize,
    textwrap.dedent,
    inspect.getmodulename,
    inspect.unwrap,
    inspect.getdoc,
    inspect.formatannotation,
    inspect.isasyncgenfunction,
]
RULES = (
    ("language_named", "The instruction names the programming language."),
    ("solves_it", "The solution resolves what instruction and information ask for."),
    ("code_only", "The solution holds code and comments in the code only."),
    ("readable", "The logic is readable: names say what they hold, no step is buried."),
    ("imports_present", "Every import that the solution needs is there."),
    ("real_code", "The input is real code, not a placeholder."),
    ("relevant", "The instruction is relevant to the raw code."),
)
CHECKS = (
    ("parses", Finding.PASS, ""),
    ("names_resolve", Finding.PASS, ""),
    ("exact_duplicate", Finding.PASS, ""),
    ("licence_known", Finding.PASS, "PSF-2.0"),
    ("tests_pass", Finding.NOT_CHECKED, "no sandbox yet"),
    ("contamination", Finding.NOT_CHECKED, ""),
)


def make_real_instance(
    session: Session, project: Project, run: Run, function: Callable[..., Any], **values: Any
) -> Instance:
    """An instance of the task in `values` (generation unless said) with a verdict and evidence."""
    code = textwrap.dedent(inspect.getsource(function))
    comment = inspect.getdoc(function) or ""
    module = function.__module__
    snippet = make_snippet(
        session,
        project,
        name=function.__name__,
        comment=comment,
        code=code,
        repo="python/cpython",
        path=f"Lib/{module}.py",
        url=f"https://github.com/python/cpython/blob/main/Lib/{module}.py",
        license="PSF-2.0",
    )
    task = values.get("task", Task.GENERATION)
    instance = make_instance(session, make_pick(session, snippet), run, **(_texts(task, snippet) | values))
    _judge(session, instance)
    return instance


def _texts(task: Task, snippet: Snippet) -> dict[str, Any]:
    first = snippet.comment.split("\n\n")[0].replace("\n", " ")
    signature = snippet.code.split("\n")[0]
    if task == Task.SUMMARIZATION:
        return {
            "task": task,
            "task_name": "code summarization",
            "instruction": f"Summarise what the Python function {snippet.name} does in one or two sentences.",
            "information": snippet.code,
            "solution": first,
        }
    if task == Task.REPAIR:
        return {
            "task": task,
            "task_name": "code repair",
            "instruction": f"Find and repair the bug in the Python function {snippet.name}.",
            "information": snippet.code.replace("return ", "return not ", 1),
            "solution": snippet.code,
            "bug": "negated return value",
        }
    return {
        "task": Task.GENERATION,
        "task_name": "code generation",
        "instruction": f"Write a Python function with this behaviour: {first}",
        "information": f"The function starts with\n{signature}",
        "solution": snippet.code,
    }


def _judge(session: Session, instance: Instance) -> None:
    failing = {"readable", "imports_present"} if instance.id % 3 == 0 else set[str]()
    overall = Verdict.FAIL if failing else Verdict.PASS
    call = make_call(
        session, make_item(session, instance), '{"overall": "yes"}', prompt_tokens=812, completion_tokens=96
    )
    verdict = VerdictRow(
        instance_id=instance.id,
        call_id=call.id,
        revision=0,
        overall=overall,
        claimed=Verdict.PASS,
        contradictory=overall != Verdict.PASS,
        rules_hash="0" * 64,
    )
    session.add(verdict)
    session.flush()
    for rule, text in RULES:
        failed = rule in failing
        session.add(
            RuleAnswer(
                verdict_id=verdict.id,
                rule=rule,
                text=text,
                required=True,
                checked_by="model",
                answer="no" if failed else "yes",
                reason="It is used before anything binds it, in the third line." if failed else "",
            )
        )
    for kind, result, detail in CHECKS:
        session.add(Evidence(instance_id=instance.id, revision=0, kind=kind, result=result, detail=detail))
    instance.verdict, instance.contradictory = overall, verdict.contradictory
    session.flush()


TASKS = (Task.GENERATION, Task.REPAIR, Task.SUMMARIZATION)
