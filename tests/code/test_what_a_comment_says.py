"""A comment's prose, its first sentence, and whether two pieces of code differ in more than comments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.code.docstrings import prose
from app.code.fingerprint import differ_in_comments_only
from app.code.sentences import first_sentence
from app.pipeline import LANGUAGES


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("Return the sum.\n\n:param a: one\n:returns: it", "Return the sum."),
        ("Return the sum.\n\nArgs:\n    a: one", "Return the sum."),
        ("Return the sum\nof two.\n\nBoth are numbers.\n\n>>> add(1, 2)\n3", "Return the sum of two.\n\nBoth are numbers."),
        ("Return it.\n@param a one", "Return it."),
        ("Return it.\n\nParameters\n----------\na : int", "Return it."),
        ("Call :func:`~os.path.join` with ``None``.", "Call `os.path.join` with `None`."),
        ("Draw it.\n\nExamples (for a Turtle):\n>>> t.draw()", "Draw it."),
        ("Parameters matter: they are read twice.", "Parameters matter: they are read twice."),
        (":param a: one", ""),
    ],
)  # fmt: skip
def test_prose_ends_where_fields_sections_and_examples_begin(comment: str, said: str) -> None:
    assert prose(comment) == said


@given(st.text(max_size=200))
def test_any_comment_has_some_prose_or_none(comment: str) -> None:
    assert prose(comment) == prose(comment).strip()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Return it. Then stop.", "Return it."),
        ("Use e.g. a list. Not a set.", "Use e.g. a list."),
        ("Read `a. b` first. Go on.", "Read `a. b` first."),
        ("No end here\nat all", "No end here at all"),
    ],
)
def test_a_first_sentence_ends_at_its_own_full_stop(text: str, first: str) -> None:
    assert first_sentence(text) == first


COMMENTED = {
    "go": ("func f() int { return 1 }", "// one\nfunc f() int {\n\treturn 1 // it\n}"),
    "java": ("int f() { return 1; }", "/* one */ int f() { return 1; // it\n}"),
    "javascript": ("function f() { return 1; }", "function f() { /* it */ return 1; }"),
    "php": ("function f() { return 1; }", "function f() { # it\n return 1; }"),
    "python": ("def f():\n    return 1", 'def f():\n    """One."""\n    # it\n    return 1  # one'),
    "ruby": ("def f\n  1\nend", "def f # it\n  1\nend"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_comments_make_no_other_code_and_a_number_does(language: str) -> None:
    plain, commented = COMMENTED[language]

    assert differ_in_comments_only(plain, commented, language)
    assert not differ_in_comments_only(plain.replace("1", "2"), commented, language)


def test_a_mark_of_comments_inside_a_string_is_code() -> None:
    assert not differ_in_comments_only("f('#a')", "f('#b')", "python")
