"""Code as highlighted HTML with line numbers that are not copied. Pure.

Classes are Pygments' own short ones; `static/pygments.css` colours them below `.code`.
"""

from functools import cache
from html import escape

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_LONGEST = 200_000  # characters; beyond it colours cost more time than they are worth


def code_html(code: str, language: str | None) -> Markup:
    """One `<span class="line" data-line="1">` per line of `code`; white space stays as it is.

    Unknown languages and very long texts come without colours.
    """
    text = code.removesuffix("\n")
    lexer = _lexer(language) if language is not None and len(text) <= _LONGEST else None
    lines = escape(text).split("\n") if lexer is None else _coloured(text, lexer)
    numbered = "\n".join(
        f'<span class="line" data-line="{number}">{line}</span>' for number, line in enumerate(lines, 1)
    )
    return Markup(numbered)  # escaped above or by Pygments


def _coloured(text: str, lexer: Lexer) -> list[str]:
    # Pygments turns \r into line ends of its own; the number of lines must stay that of the text.
    marked = highlight(text.replace("\r", "␍"), lexer, HtmlFormatter[str](nowrap=True))
    return marked.removesuffix("\n").split("\n")


@cache
def _lexer(language: str) -> Lexer | None:
    options = {"startinline": True} if language == "php" else {}
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False, **options)
    except ClassNotFound:
        return None
