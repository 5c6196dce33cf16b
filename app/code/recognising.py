"""Which language a text is written in, guessed only where little doubt is left. Pure.

A fence that names its language is believed. Otherwise code must show a sign of the language and parse in it: a
sign alone is cheap but stands in prose as well, and a grammar alone takes much for its own (Ruby's takes prose,
Java's takes C). What shows no sign of the six is not parsed at all, so that a guess costs about one parse.
"""

import re

from app.code.languages import LANGUAGES, language_named
from app.code.syntax import parses
from app.pipeline import OTHER

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*+([\w+#.-]*+).*\n", re.M)
_FENCE_END = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*$", re.M)
_LONGEST_PARSED = 50_000  # characters; a longer text is not worth the time

# Repetitions that may begin anywhere are bounded: the square of a hostile text's length is never walked.
_SIGNS: dict[str, re.Pattern[str]] = {
    "go": re.compile(
        r"^[ \t]*(?:package \w+\s*$|func (?:\(\w{0,60} ?\*?\w{1,60}\) )?\w*\()|\w :=|\bfmt\.\w", re.M
    ),
    "java": re.compile(
        r"\b(?:public|private|protected) (?!function)[\w<>\[\], ]{1,200}[({;=]|\bSystem\.(?:out|in)\b"
        r"|^[ \t]*import java|\bnew \w+(?:<[^>\n]{0,200}>)?\(|^[ \t]*(?:\w+(?:<.*>)?(?:\[\])?) \w+ = new\b",
        re.M,
    ),
    "javascript": re.compile(
        r"\b(?:const|let|var) [\w{\[]|\bfunction\b ?\*?\s{0,20}+\w{0,100}+\s{0,20}+\(|=>|\bconsole\.\w|\brequire\(['\"]"
        r"|\bmodule\.exports\b|\bdocument\.\w"
    ),
    "php": re.compile(
        r"<\?php|(?<![\w`'\"])\$[a-z_]\w*\s*(?:=|->|\[|\+\+|\.=)|\(.{0,200}\$[a-z_]\w*[,)]", re.I
    ),
    "python": re.compile(
        r"^[ \t]*(?:(?:async )?def \w+\(|class \w[^\n{]*:\s*$|import \w[\w., ]*$|from [\w.]+ import "
        r"|(?:if|elif|while|with|for)\b.*:\s*$|(?:else|try):\s*$|@\w)|\bprint\(|\blambda \w*:| for \w+ in ",
        re.M,
    ),
    "ruby": re.compile(
        r"^[ \t]*(?:end\b|puts |require ['\"]|attr_\w+ :|module [A-Z])|\bdo \|\w|\{ ?\|\w|\.each\b|\bp? ?%w\[|\bnil\?",
        re.M,
    ),
}
_OTHER_SIGNS = re.compile(
    r"^[ \t]*#include\b|std::|using (?:System|namespace)\b|Console\.(?:Write|Read)|fn \w+\(|let mut\b|println!"
    r"|^[ \t]*<(?:![Dd][Oo]|html|HTML|head|body)|^#!.*\b(?:ba|z)?sh\b|<- ?function\b|^[ \t]*local \w+ ="
    r"|^[ \t]*(?:SELECT|select)\b.*\b(?:FROM|from)\b",
    re.M,
)

_NOT_PHP = re.compile(r"\b(?:const|let|var) [\w{\[]|\w\.[a-z]\w*\(")

_NAMES: dict[str, re.Pattern[str]] = {
    "go": re.compile(
        r"\b[Gg]olang\b|\b(?:in|to|into|from|using|a) Go\b|\bGo (?:function|program|code|method|struct)"
    ),
    "java": re.compile(r"\bJava\b"),
    "javascript": re.compile(r"\bjavascript\b|\bnode\.?js\b|\bJS\b", re.I),
    "php": re.compile(r"\bphp\b", re.I),
    "python": re.compile(r"\bpython ?[23]?\b", re.I),
    "ruby": re.compile(r"\bruby\b", re.I),
}
_OTHER_NAMES = re.compile(
    r"(?<!\w)(?:C\+\+|C#|TypeScript|Rust|Kotlin|Swift|Scala|Perl|Bash|shell script|MATLAB|Haskell|Lua|Dart|SQL"
    r"|HTML|CSS|C (?:function|program|code))(?!\w)",
    re.I,
)


def language_of(text: str, request: str = "") -> str | None:
    """One of the six, `OTHER` where the text is surely in another language, or None where there is no telling.

    `request` is what the text answers: a language that it names is believed where the text bears it out.
    """
    fence = _FENCE.search(text)
    if fence and fence[1]:
        return language_named(fence[1]) or OTHER
    code = _FENCE_END.split(text[fence.end() :], 1)[0] if fence else text
    if len(code) > _LONGEST_PARSED or not code.strip():
        return None
    named = [language for language in LANGUAGES if _NAMES[language].search(request)]
    if len(named) == 1 and (_SIGNS[named[0]].search(code) or parses(code, named[0])):
        return named[0]
    if not named and _OTHER_NAMES.search(request):
        return OTHER
    if _OTHER_SIGNS.search(code) and "<?php" not in code:
        return OTHER
    signs = [language for language in LANGUAGES if _SIGNS[language].search(code)]
    possible = [language for language in signs if parses(code, language)]
    if possible == ["javascript", "php"]:  # both know $names; only one declares and calls like this
        possible = ["javascript" if _NOT_PHP.search(code) else "php"]
    agreed = possible if len(possible) == 1 else [language for language in possible if language in named]
    return agreed[0] if len(agreed) == 1 else None
