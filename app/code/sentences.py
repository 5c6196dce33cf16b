"""How many sentences a text has, and the first of them. Pure."""

import re

# A full stop after these ends no sentence.
_ABBREVIATIONS = (
    "e.g", "i.e", "etc", "vs", "cf", "resp", "approx", "incl", "excl", "max", "min", "no", "fig", "dr", "mr", "ms",
    "st", "al", "ca", "viz", "sec", "ch", "eq", "arg", "args", "param", "params",
)  # fmt: skip
_ABBREVIATED = re.compile(
    rf"\b({'|'.join(re.escape(word) for word in _ABBREVIATIONS)})\.(?=\W|$)", re.IGNORECASE
)
_QUOTED_CODE = re.compile(r"`[^`]*`")
_END = re.compile(r"(?<![.!?])[.!?]++[\"')\]]*+(?=\s|\Z)")


def sentence_count(text: str) -> int:
    """Sentences in `text`; what stands behind the last full stop counts too.

    No sentence ends at "e.g.", "i.e." and their like unless the text does, inside `code`, or in `os.path`.
    """
    plain = _QUOTED_CODE.sub("code", text.strip())
    plain = _ABBREVIATED.sub(lambda found: found[1].replace(".", ""), plain)
    return sum(1 for part in _END.split(plain) if part.strip(" .!?\"'()[]\n\t"))


def first_sentence(text: str) -> str:
    """Up to the first end of a sentence, on one line; all of it where there is none."""
    line = " ".join(text.split())
    quotes, looked_at = 0, 0
    for end in _END.finditer(line):
        quotes += line.count("`", looked_at, end.end())
        looked_at = end.end()
        if quotes % 2 == 0 and not _ABBREVIATED.search(line[max(0, looked_at - 10) : looked_at]):
            return line[:looked_at]
    return line
