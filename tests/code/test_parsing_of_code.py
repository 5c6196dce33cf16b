import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.code.docstrings import without_docstring
from app.code.fingerprint import fingerprint
from app.code.functions import functions
from app.code.languages import LANGUAGES
from app.code.syntax import parses, syntax_faults

CUT_OUT = {
    "go": "func (s *Stack) Pop() int {\n\treturn s.items[0]\n}",
    "java": "@Override\n    protected final int pop(int n) {\n        return n;\n    }",
    "javascript": "function (x) {\n  return x;\n}",
    "php": "public static function pop(array $x = [])\n    {\n        return $x;\n    }",
    "python": "def pop(self):\n        return self.items.pop()",
    "ruby": "def pop(n)\n      n + 1\n    end",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_function_cut_out_of_its_file_parses(language: str):
    assert parses(CUT_OUT[language], language)
    assert syntax_faults(CUT_OUT[language], language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_function_cut_in_half_does_not_parse_and_the_line_is_named(language: str):
    half = CUT_OUT[language][:-4] + "( ="

    assert not parses(half, language)
    faults = syntax_faults(half, language)
    assert faults
    assert all(1 <= fault.line <= half.count("\n") + 2 and fault.message for fault in faults)


def test_php_without_its_tag_is_code_and_not_text():
    assert not parses("function (", "php")
    assert parses("<?php\nfunction f() {}", "php")
    assert parses("async push(x) { return x; }", "javascript")


@pytest.mark.parametrize("language", LANGUAGES)
def test_code_nested_deep_or_with_nul_characters_is_an_answer_and_not_a_crash(language: str):
    assert not parses("(" * 20_000, language)
    syntax_faults("\0" + "{" * 20_000, language)


@given(st.text(max_size=60), st.sampled_from(sorted(LANGUAGES)))
def test_any_text_parses_or_has_faults(text: str, language: str):
    assert parses(text, language) == (not syntax_faults(text, language))


def test_a_warning_about_an_escape_is_not_a_fault():
    assert parses('x = "\\d"', "python")


def test_real_functions_stay_whole_without_their_docstring():
    found = [f for f in functions(inspect.getsource(json.decoder), "python") if f.comment]

    assert found
    for function in found:
        rest = without_docstring(function.code, "python")
        assert parses(rest, "python")
        assert function.comment.splitlines()[0] not in rest


@pytest.mark.parametrize(
    ("code", "rest"),
    [
        ('def f():\n    """D."""\n    # why\n    return 1\n', "def f():\n    # why\n    return 1\n"),
        ('def f():\n    """D."""\n', "def f():\n    pass\n"),
        ('def f(): "D"; return 1', "def f(): return 1"),
        ('def f(x="é"):\n    """é\n\n    é."""\n\n    return "é"', 'def f(x="é"):\n    return "é"'),
        ("def f():\n    return 1", "def f():\n    return 1"),
        ("def f(:", "def f(:"),
    ],
)
def test_only_the_docstring_goes(code: str, rest: str):
    assert without_docstring(code, "python") == rest


def test_layout_does_not_change_a_fingerprint_but_any_word_does():
    assert fingerprint("def f():\n    return 1\n") == fingerprint("def f():\n\treturn  1")
    assert fingerprint("def f(): return 1") != fingerprint("def f(): return 2")
