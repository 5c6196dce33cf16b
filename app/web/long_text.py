"""Very long lines, shown from their beginning, with the rest folded behind a click. Pure.

A megabyte in one line would take a browser seconds to lay out. The folded rest is in the page all the same: the
text of an element is the whole text, and is copied and searched as such.
"""

from markupsafe import Markup, escape

LONGEST_LINE = 20_000  # characters; no line that somebody wrote is longer
_SHOWN = 2_000


def has_long_line(text: str) -> bool:
    return len(text) > LONGEST_LINE and any(len(line) > LONGEST_LINE for line in text.split("\n"))


def folded(text: str) -> Markup:
    """`text` as HTML, of every line that is too long all but the beginning folded."""
    if not has_long_line(text):
        return escape(text)
    return Markup("\n").join(_folded_line(line) for line in text.split("\n"))


def _folded_line(line: str) -> Markup:
    if len(line) <= LONGEST_LINE:
        return escape(line)
    # The words come from the style sheet: they are no part of the text.
    words = f"… show the other {len(line) - _SHOWN:,} characters of this line"
    return Markup(
        '{}<details class="rest"><summary data-words="{}" aria-label="{}"></summary>{}</details>'
    ).format(line[:_SHOWN], words, words, line[_SHOWN:])
