"""Code as highlighted HTML with line numbers that are not copied. Pure.

Classes are Pygments' own short ones; `static/pygments.css` colours them below `.code`.
"""

from functools import cache, lru_cache

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from app.web.long_text import folded, has_long_line

_LONGEST = 200_000  # characters; beyond it colours cost more time than they are worth
_KEPT, _LONGEST_KEPT = 256, 20_000  # texts and their characters: some 50 MB of HTML at the very most
_formatter = HtmlFormatter[str](nowrap=True)


def code_html(code: str, language: str | None) -> Markup:
    """One `<span class="line" data-line="1">` per line of `code`; white space stays as it is.

    Unknown languages, very long texts and texts with a very long line come without colours. What is short enough is
    kept: a card often shows the same code twice or three times, and the instances of one snippet follow each other.
    """
    return (_kept_html if len(code) <= _LONGEST_KEPT else _html)(code, language)


def _html(code: str, language: str | None) -> Markup:
    text = code.removesuffix("\n")
    is_plain = language is None or len(text) > _LONGEST or has_long_line(text)
    lexer = None if is_plain else _lexer(language)
    lines = _plain(text) if lexer is None else _coloured(text, lexer)
    numbered = "\n".join(
        f'<span class="line" data-line="{number}">{line}</span>' for number, line in enumerate(lines, 1)
    )
    return Markup(numbered)  # escaped above or by Pygments


_kept_html = lru_cache(_KEPT)(_html)


def _plain(text: str) -> list[str]:
    return [folded(line) for line in text.split("\n")]


def _coloured(text: str, lexer: Lexer) -> list[str]:
    # Pygments turns \r into line ends of its own; the number of lines must stay that of the text.
    marked = highlight(text.replace("\r", "␍"), lexer, _formatter)
    return marked.removesuffix("\n").split("\n")


@cache
def _lexer(language: str) -> Lexer | None:
    options = {"startinline": True} if language == "php" else {}
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False, **options)
    except ClassNotFound:
        return None
