"""Characters nobody sees are marked, lines nobody would read are folded; the text stays what it was."""

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from app.web.formats import web_address
from app.web.hidden_characters import mark_hidden
from app.web.highlighting import code_html
from app.web.long_text import LONGEST_LINE, folded


def _text_of(html: str) -> str:
    return unescape(re.sub(r"""<(?:"[^"]*"|[^'">])*>""", "", html))


def test_a_hidden_character_is_marked_where_it_is_text_and_nowhere_else() -> None:
    mark = '<bdi class="hidden-char" data-code="U+202E">\u202e</bdi>'

    assert mark_hidden("a\u202eb") == f"a{mark}b"
    for left_alone in (
        '<a title="x>\u202ey">z</a>',
        "<a title='x>\u202ey'>z</a>",
        "<textarea name=a>\u202e</textarea>",
        "<title>\u202e</title>",
        "a\tb\r\nc é 漢 👩\u200d👩",
    ):
        assert mark_hidden(left_alone) == left_alone
    assert mark_hidden("<textarea>\u202e</textarea>\u202e") == f"<textarea>\u202e</textarea>{mark}"


@given(st.text(st.characters(exclude_characters="\r\0")))
def test_marking_and_folding_keep_the_text(text: str) -> None:
    assert _text_of(mark_hidden(folded(text))) == text
    assert _text_of(mark_hidden(code_html(text, "python"))) == text.removesuffix("\n")


def test_only_a_line_that_is_too_long_is_folded() -> None:
    longest, longer = "<" * LONGEST_LINE, "<" * (LONGEST_LINE + 1)

    assert "<details" not in folded(longest)
    assert "<details" not in code_html(f"{longest}\n{longest}", "python")
    for html in (folded(f"a\n{longer}\nb"), code_html(f"a\n{longer}\nb", "python")):
        assert html.count("<details") == 1
        assert _text_of(html) == f"a\n{longer}\nb"


def test_only_an_address_of_the_web_becomes_a_link() -> None:
    assert web_address("https://github.com/a/b") == "https://github.com/a/b"
    for address in ("javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "//elsewhere", ""):
        assert web_address(address) == ""
