"""What in a text speaks to a model that reads it: orders to forget others, to judge this or that way. Pure."""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Iterator

from app.prompting.unseen import AS_LATIN, UNSEEN

_MODEL = (
    r"(?:ai|llm|language models?|gpt|chatgpt|claude|gemini|copilot|judge|grader|evaluator|assistant|chatbot)"
)
_GOOD = r"(?:correct|perfect|flawless|excellent|pass(?:ed|es|ing)?|approved|accepted|verified|10/10|yes)"
_WORK = r"(?:code|solution|answer|instance|submission|response|snippet|implementation|pull request)"
# A pattern is tried where one of its words stands: nearly nowhere, which makes the look cheap.
_TO_A_MODEL: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (words, re.compile(pattern))
    for words, pattern in (
        # what came before shall not count
        (
            (
                "ignore",
                "disregard",
                "forget",
                "override",
                "bypass",
                "neglect",
                "attention to",
                "not ",
                "don't",
                "stop ",
            ),
            r"\b(?:ignore|disregard|forget|override|bypass|neglect|pay no attention to|(?:do not|don't) (?:follow|obey|apply)"
            r"|stop following)\b(?: \w+){0,3}? (?:previous|prior|above|earlier|preceding|foregoing|former|your|system"
            r"|initial|original|other|surrounding|rubric)\b(?: \w+){0,2}? ?(?:instructions?|prompts?|rules|rubric"
            r"|guidelines?|directives?|criteria|directions|task)\b",
        ),
        (
            ("ignore", "disregard", "forget"),
            r"\b(?:ignore|disregard|forget) (?:the|this|all(?: the| of the)?) (?:rubric|instructions|prompt)\b",
        ),
        # somebody is spoken to
        (
            (
                "dear ",
                "hey ",
                "hello ",
                "attention ",
                "note to",
                "note for",
                "message to",
                "message for",
                "instruction",
            ),
            r"\b(?:dear|hey|hello|attention|note (?:to|for)|message (?:to|for)|instructions? (?:to|for)) "
            rf"(?:the |all |any )?(?:\w+ )?{_MODEL}\b(?: \w+)? ?[:,;!.]",
        ),
        (
            ("ai:", "ai,", "llm", "ai judge", "ai review", "ai assist", "ai model", "ai grader", "ai agent"),
            r"(?:^|[^\w ] ?|\btodo:? )(?:ai|llm)(?: (?:judge|reviewer|assistant|model|grader|agent)s?)?[:,] "
            r"(?:please |you (?:must|should|will) )?(?:ignore|disregard|stop|respond|reply|answer|output|mark|say"
            r"|approve|rate|give|skip|do not|accept|return)\b",
        ),
        (
            ("you are ",),
            r"\byou are (?:now )?(?:an? |the )?(?:\w+ ){0,2}(?:ai|llm|language model|judge|grader|evaluator|assistant"
            r"|chatbot)\b",
        ),
        (("as an ai",), r"\bas an ai (?:language )?model\b"),
        # what it shall say
        (
            ("yes", "pass", "approve"),
            r"\b(?:answer|reply|respond|say|output|vote)(?: only| just)?(?: with)? [\"'`<(]*(?:yes|pass|approved?)[\"'`>)]*"
            r" (?:to|for|on|in) (?:all|every|each|everything|any)\b",
        ),
        (
            (
                "correct",
                "perfect",
                "flawless",
                "excellent",
                "pass",
                "approved",
                "accepted",
                "verified",
                "10/10",
                "yes",
            ),
            r"\b(?:mark|rate|grade|score|judge|classify|approve|accept|consider|label|evaluate)"
            rf"(?: \w+)? {_WORK}(?: as| to be| is| with| at)? (?:an? |the )?(?:\w+ )?{_GOOD}\b",
        ),
        (
            ("give", "award", "assign"),
            r"\b(?:give|award|assign)(?: \w+){0,3} (?:full marks|(?:a |the )?(?:full|perfect|highest|maximum|top) "
            r"(?:score|marks?|grade|rating)|10/10)\b",
        ),
        (
            ("verified by", "approved by", "reviewed by", "validated by", "checked by"),
            rf"\b{_WORK} (?:is|was|has been) (?:already )?(?:pre-?)?(?:verified|approved|reviewed|validated|checked) by "
            r"(?:an? |the |our |senior |several )?(?:human|expert|senior|administrator|maintainer|security)",
        ),
        (
            ("respond", "reply", "answer"),
            r"\b(?:respond|reply|answer)(?: only)? with (?:only )?(?:the )?(?:word |verdict |following json)",
        ),
        (
            ("prompt", "instructions"),
            r"\b(?:reveal|print|repeat|show|leak|output) (?:me )?(?:your|the) (?:system|hidden|initial) (?:prompt|instructions)\b"
            r"|\b(?:new|updated) (?:system )?(?:instructions|prompt)s? ?: ",
        ),
        (
            ("step by step", "thought process"),
            r"\blet'?s (?:solve|think about|think through|work through) (?:this|it)(?: problem)? (?:out )?step by step\b"
            r"|(?:^|[^\w ] ?)thought process ?:",
        ),
        # in other languages
        (
            ("指令", "指示", "规则", "提示", "要求"),
            "(?:忽略|无视|忘记|不要理会)[^。\n]{0,8}(?:之前|以上|前面|上面|所有|先前)[^。\n]{0,8}(?:指令|指示|规则|提示|要求)",
        ),
        (("無視",), "(?:以前|上記|これまで|前)の[^。\n]{0,6}(?:指示|命令|ルール)[^。\n]{0,4}無視"),
        (("무시",), "(?:이전|위의)[^.\n]{0,8}(?:지시|명령|규칙)[^.\n]{0,6}무시"),
        (
            ("instrucciones", "reglas"),
            r"\b(?:ignor|olvid|omit)[a-z]*(?: \w+){0,3} (?:instrucciones|reglas)\b",
        ),
        (
            ("précédent", "ci-dessus", "antérieur"),
            r"\b(?:ignor|oubli)[a-z]*(?: \w+){0,3} (?:instructions|règles|consignes)(?: précédent| ci-dessus| antérieur)",
        ),
        (
            ("anweisungen", "regeln", "vorgaben"),
            r"\b(?:ignorier|vergiss)[a-z]*(?: \w+){0,3} (?:anweisungen|regeln|vorgaben)\b",
        ),
        (("instruções", "regras"), r"\b(?:ignor|esque)[a-z]*(?: \w+){0,3} (?:instruções|regras)\b"),
        (("istruzioni", "regole"), r"\bignora(?: \w+){0,3} (?:istruzioni|regole)\b"),
        (
            ("инструкц", "указан", "правил"),
            r"(?:игнорир|забуд|не обращай)\w{0,20}(?: \w+){0,3} (?:инструкц|указан|правил)",
        ),
        (
            ("talimat", "kural"),
            r"(?:talimat|kural)\w{0,20}(?: \w+){0,2} (?:yoksay|unut|görmezden gel|dikkate alma)",
        ),
    )
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{32,4000}={0,2}")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_LETTERS_APART = re.compile(r"\b(?:[a-z] ){4}[a-z]\b")
_PIECE = 256  # characters
_LETTER_APART = re.compile(r"\b(\w) (?=\w\b)")
_LEADERS = re.compile(r"^[ \t]*+(?:#++|//++|/?\*++|--++|;++|>++)?+[ \t]*+", re.MULTILINE)


def spoken_to_a_model(text: str) -> re.Match[str] | None:
    """The first such words in `text`, also where they are disguised: by letters of other scripts, letters set
    apart, characters that cannot be seen, or Base64."""
    found = (
        pattern.search(one)
        for one in _readings(text)
        for words, pattern in _TO_A_MODEL
        if has_any_of(one, words)
    )
    return next(filter(None, found), None)


def plain_words(text: str) -> str:
    """As a model reads it: one line in lower case, without comment signs, disguises and what cannot be seen."""
    return " ".join(_undisguised(text).split())


def has_any_of(plain: str, words: Iterable[str]) -> bool:
    """A look that costs little, before the long one."""
    return any(word in plain for word in words)


def _readings(text: str) -> Iterator[str]:
    plain = plain_words(text)
    yield plain
    if not text.isascii():
        yield plain.translate(AS_LATIN).lower()
    if _LETTERS_APART.search(plain):
        yield " ".join(_LETTER_APART.sub(r"\1", _undisguised(text)).split())
    yield from _decoded(text)


def _undisguised(text: str) -> str:
    if not text.isascii():
        text = _TAGS.sub(_untagged, text)
        text = _compatible(UNSEEN.sub("", text))
    return _LEADERS.sub("", text.lower())


def _compatible(text: str) -> str:
    """NFKC, a piece at a time: marks that are stacked on one letter take the square of their number to be sorted."""
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    return "".join(unicodedata.normalize("NFKC", piece) for piece in pieces)


def _untagged(found: re.Match[str]) -> str:
    """Tag characters as the letters that they stand for."""
    return " " + "".join(chr(ord(one) - 0xE0000) for one in found[0])


def _decoded(text: str) -> Iterator[str]:
    """Words in Base64 that are text."""
    for found in _BASE64.finditer(text):
        word = found[0].rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            content = base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            continue
        if content.isprintable():
            yield plain_words(content)
