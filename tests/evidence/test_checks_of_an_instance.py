import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.code.languages import LANGUAGES
from app.code.names import undefined_names
from app.evidence.checks import Found, Kind, Subject, check_instance
from app.pipeline import Finding, Task

PYTHON = "def double(x):\n    return 2 * x\n"
BROKEN = "def double(x:\n    return 2 * x\n"
GO = "func double(x int) int {\n\treturn 2 * x\n}"


def subject(**values: object) -> Subject:
    valid = Subject(Task.GENERATION, "python", None, "", PYTHON, "MIT")
    return valid._replace(**values)  # type: ignore[arg-type]


def found(checked: Subject, kind: Kind) -> Found:
    return next(one for one in check_instance(checked) if one.kind is kind)


@pytest.mark.parametrize(
    ("checked", "result"),
    [
        (subject(), Finding.PASS),
        (subject(solution=BROKEN), Finding.FAIL),
        (subject(solution="  "), Finding.FAIL),
        (subject(task=Task.REPAIR, information=BROKEN), Finding.PASS),
        (subject(task=Task.REPAIR, information=PYTHON, solution=BROKEN), Finding.FAIL),
        (subject(task=Task.SUMMARIZATION, information=PYTHON, solution="It doubles."), Finding.PASS),
        (subject(task=Task.SUMMARIZATION, information=BROKEN, solution="It doubles."), Finding.FAIL),
        (subject(task=Task.TRANSLATION, target_language="go", information=PYTHON, solution=GO), Finding.PASS),
        (
            subject(task=Task.TRANSLATION, target_language="go", information=PYTHON, solution=PYTHON),
            Finding.FAIL,
        ),
    ],
)
def test_what_must_be_code_in_a_task_has_to_parse(checked: Subject, result: Finding):
    assert found(checked, Kind.PARSES).result is result


def test_a_fault_is_named_with_its_field_and_line():
    detail = found(subject(solution=PYTHON + "x = (\n"), Kind.PARSES).detail

    assert detail == "solution, line 3: '(' was never closed"


@pytest.mark.parametrize(
    ("solution", "information", "result"),
    [
        ("import os\n\ndef f():\n    return os.sep\n", "", Finding.PASS),
        ("def f(self):\n    return self.sep + super().sep\n", "", Finding.PASS),
        ("def f():\n    return os.sep\n", "", Finding.FAIL),
        ("def f():\n    return os.sep\n", "The module `os` is imported.", Finding.PASS),
        ("def f():\n    return os.sep\n", "osmosis", Finding.FAIL),
        (BROKEN, "", Finding.NOT_CHECKED),
    ],
)
def test_every_python_name_is_defined_imported_or_given(solution: str, information: str, result: Finding):
    checked = subject(solution=solution, information=information)

    assert found(checked, Kind.NAMES_RESOLVE).result is result


def test_missing_names_are_listed_once_in_order():
    assert undefined_names("def f():\n    b(a)\n    a(b)\n    return c\n") == ["b", "a", "c"]


def test_names_of_other_languages_and_of_prose_are_not_checked_and_say_so():
    assert found(subject(language="go", solution=GO), Kind.NAMES_RESOLVE).result is Finding.NOT_CHECKED
    prose = subject(task=Task.SUMMARIZATION, information=PYTHON, solution="It doubles.")
    assert found(prose, Kind.NAMES_RESOLVE).result is Finding.NOT_CHECKED


def test_an_unknown_licence_is_not_passed():
    assert found(subject(), Kind.LICENCE_KNOWN).detail == "MIT"
    assert found(subject(license=None), Kind.LICENCE_KNOWN).result is Finding.FAIL


def test_what_is_not_run_never_says_pass():
    for kind in (Kind.RUNS, Kind.NEAR_DUPLICATE, Kind.CONTAMINATION, Kind.SECRETS):
        assert found(subject(), kind).result is Finding.NOT_CHECKED


@given(st.sampled_from(Task), st.sampled_from(sorted(LANGUAGES)), st.text(max_size=40), st.text(max_size=40))
def test_any_text_gets_one_finding_of_each_kind(task: Task, language: str, information: str, solution: str):
    findings = check_instance(Subject(task, language, "python", information, solution, None))

    assert len({one.kind for one in findings}) == len(findings) == len(Kind) - 1
