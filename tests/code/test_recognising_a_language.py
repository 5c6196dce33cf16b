import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.code.languages import LANGUAGES
from app.code.recognising import language_of
from app.pipeline import OTHER

WRITTEN = {
    "go": "func Max(a, b int) int {\n\tif a > b {\n\t\treturn a\n\t}\n\treturn b\n}",
    "java": "public static int max(int a, int b) {\n    return a > b ? a : b;\n}",
    "javascript": "const max = (a, b) => (a > b ? a : b);\nconsole.log(max(1, 2));",
    "php": "function maximum($a, $b) {\n    return $a > $b ? $a : $b;\n}",
    "python": "def maximum(a, b):\n    return a if a > b else b",
    "ruby": "def maximum(a, b)\n  a > b ? a : b\nend",
}
NONE_OF_THE_SIX = {
    "C": '#include <stdio.h>\nint main() { printf("%d", 1); return 0; }',
    "C#": 'public class A {\n  public static void Main(string[] args) { Console.WriteLine("a"); }\n}',
    "Rust": "fn max(a: i32, b: i32) -> i32 { if a > b { a } else { b } }",
    "SQL": "SELECT name FROM people WHERE age > 30;",
    "R": "maximum <- function(a, b) { max(a, b) }",
    "HTML": "<html><script>const a = 1;</script></html>",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_function_is_recognised_by_a_sign_and_its_grammar(language: str):
    assert language_of(WRITTEN[language]) == language


@pytest.mark.parametrize("language", NONE_OF_THE_SIX)
def test_what_looks_like_one_of_the_six_and_is_not_is_other(language: str):
    assert language_of(NONE_OF_THE_SIX[language]) == OTHER


@pytest.mark.parametrize(("tag", "language"), [("python", "python"), ("JS", "javascript"), ("sql", OTHER)])
def test_a_fence_that_names_its_language_is_believed(tag: str, language: str):
    assert language_of(f"Here it is:\n\n```{tag}\nx\n```\nThat is all.") == language


def test_a_fence_without_a_name_is_looked_into():
    assert language_of(f"Surely:\n\n```\n{WRITTEN['ruby']}\n```\nIt compares.") == "ruby"


def test_a_request_that_names_a_language_decides_what_two_grammars_take():
    assert language_of("sorted(numbers)") is None
    assert language_of("sorted(numbers)", "Sort numbers in Python.") == "python"
    assert language_of("int add(int a, int b) { return a + b; }", "Write a C++ function.") == OTHER


@pytest.mark.parametrize("text", ["", "It returns the larger of two numbers.", "42", "x = 1"])
def test_where_there_is_no_telling_nothing_is_guessed(text: str):
    assert language_of(text) is None


@given(st.text(), st.text())
def test_any_text_at_all_has_an_answer(text: str, request: str):
    assert language_of(text, request) in (*LANGUAGES, OTHER, None)
