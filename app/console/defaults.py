"""What a new project starts with. Pure."""

import re
import unicodedata

REASONS = ("incorrect", "incomplete", "unclear", "irrelevant", "unsafe", "duplicate", "other")

GUIDELINE = """\
# What to look for

You read one **instance** at a time: an instruction, the information that goes with it, and a solution. Ask
whether a model that learns from it would learn something right and useful.

**Accept** it as it is when

- the instruction can be followed without seeing the original code,
- the information holds everything the solution needs, and does not give the solution away,
- the solution does what the instruction asks, and is correct.

**Edit** it when a small change makes it good: a wrong name, a missing case, a vague sentence.

**Reject** it when it cannot be saved in a minute, and say why. **Skip** what you cannot judge.

The verdict beside the text is a machine's opinion. Where it is wrong, overrule the rule: that teaches us how far
to trust it.
"""

_MOST_SLUG_CHARACTERS = 48
_LONGEST_NAME = 500  # characters that are looked at
_NO_SLUG = re.compile(r"[^a-z0-9]+")


def slug_of(name: str) -> str:
    """A name as it stands in addresses: "Café für Python" -> "cafe-fur-python"; may be empty."""
    plain = unicodedata.normalize("NFKD", name[:_LONGEST_NAME]).encode("ascii", "ignore").decode().lower()
    return _NO_SLUG.sub("-", plain).strip("-")[:_MOST_SLUG_CHARACTERS].strip("-")
