"""Characters that change a text without being seen, made visible. Pure.

On a page each stands in a `<bdi>` of its own, which ends its effect on what follows, and the style sheet writes its
code point beside it. The text itself stays as it is, so that what is copied is the source. Joiners stay unmarked:
many scripts are written with them.
"""

import re

from app.prompting.unseen import BIDIRECTIONAL, STRAY_SELECTOR, ZERO_WIDTH

# No line ends and tabs among the control characters.
HIDDEN = f"\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{BIDIRECTIONAL}{ZERO_WIDTH}"
_hidden = re.compile(f"[{HIDDEN}]|{STRAY_SELECTOR}")
# Quoted values are read as one, since they may hold a `>`; text holds neither that nor a `<`, it is escaped.
_tag = re.compile(r"""(<(?:[^'"<>]++|"[^"]*+"|'[^']*+')*+>)""")
_verbatim = re.compile(r"<(/?)(?:textarea|title|option)\b")  # hold text only, no element


def mark_hidden(html: str) -> str:
    """`html` with every hidden character in its text marked; attributes and form fields stay as they are."""
    if _hidden.search(html) is None:
        return html
    parts = _tag.split(html)
    is_verbatim = False
    for number, part in enumerate(parts):
        if number % 2:
            found = _verbatim.match(part)
            is_verbatim = not found[1] if found else is_verbatim
        elif not is_verbatim:
            parts[number] = _hidden.sub(_marked, part)
    return "".join(parts)


def _marked(found: re.Match[str]) -> str:
    return f'<bdi class="hidden-char" data-code="U+{ord(found[0]):04X}">{found[0]}</bdi>'
