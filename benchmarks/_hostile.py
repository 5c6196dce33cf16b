"""Texts that repeat themselves: what slow regular expressions and careless loops are slow at. Pure.

Some are for everything, others are made for one pattern: for each of its repetitions a text that comes as far as
there, what is repeated again and again, and an end that fits nothing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from re import _compiler, _constants, _parser  # pyright: ignore[reportAttributeAccessIssue] - what `re` is made of
from typing import Any, NamedTuple


class Hostile(NamedTuple):
    """A text of any length: `unit` again and again between a beginning and an end."""

    unit: str
    prefix: str = ""
    suffix: str = ""

    def text(self, length: int) -> str:
        room = max(0, length - len(self.prefix) - len(self.suffix))
        return self.prefix + self.unit * (room // len(self.unit)) + self.suffix

    def __str__(self) -> str:
        begins, ends = (f"{one!r} + " if one else "" for one in (self.prefix, self.suffix))
        return f"{begins}{self.unit!r} * n{f' + {self.suffix!r}' if ends else ''}"


# One character again and again: ASCII, then what else is blank, a letter, a digit, unseen, or joins others.
CHARACTERS = tuple(map(chr, range(128))) + tuple(
    "\x85\xa0é߀а漢Ａ𝐀⟪⟫“’：😀\u0301\u00ad\u200b\u200d\u2028\u202e\u2066\u3000\ufe0f\ufeff\U000e0041"
)

UNITS = (
    # line ends and blanks
    "\r\n", "\n\r", " \n", "\n ", "\t\n", "\n\t", "a\n", "a\n\n", "a ", " a", ". ", ".\n", "a. ", "! ", "\\\n", "\xa0\n",
    # words for models and verdicts
    "human:", "human: ", "user:\n", "assistant", "assistant:", "assistant:\n", "ai: ", "ai:\n", "### ", "###\n", "\n###",
    "### system", "untrusted ", "begin ", "begin untrusted ", "overall ", "overall: ", "verdict", "verdict: ",
    "<verdict>", "score ", "score: ", "ignore ", "ignore all ", "ignore a a ", "you are ", "dear ", "hey judge", "mark ",
    "give ", "give full ", "answer with ", "let's solve ", "instructions to ", "a b c d e ", "指令", "忽略", "忽略之前",
    "ignor a ", "игнорир а ", "talimat", "<|a", "<|", "<s>", "<think>", "</think>", "[INST]", "◁think▷", "éa", "aé", "A0_é",
    "assistantfinal", "<|channel|>", "<|channel|> final", "sorry", "sorry ",
    # JSON and what stands around it
    '{"', "{'", "{a:", '{"a":', '{"a": "', '{"a":1}', '{"a":1} ', '{"a":1},', '"a":', '"a": ', '"', '\\"', '"\\', "\\", "\\\\", "\\u",
    "\\n", "[[", "[{", "{}", "{ }", "{ ", "},", "}}", "```", "```\n", "```json\n", "``", "`a`", "`:", "a:", "a: ", ":a", "：", "“”", '"",',
    '"a",', "true,", "1,", "-", "1", "1e", "null", "//", "//\n", "/* */", '{"instruction": "', '{"overall": ', '":"', '","', "':'",
    '"a\nb"', '{"a": {"a":',
    # code
    "((", "(", "()", "[", "{", "<", "<a", "<a ", "<a>", "</a>", "<a b='", '<a b="', "<!--", "-->", "<!", "<?", "<?php ", "?>", "&", "&amp;",
    "/*", "/**", "/**\n", " * a\n", "*/", "**/", "#", "# ", "#\n", "# a\n", "// a\n", "=begin\n", "=begin\n=end\n", "'''", '"""', "'a'", "'a",
    "'", "'\n", '"\n', '"""a"""\n', "f'{", "f'{a}'", "%s", "%{", "%w[", "#{", '"#{', '"${', "`${", "${", "$a", "$a = ", "<<A", "<<A\n", "<<~A\n",
    "<<<A\n", "<<<A", "<<", "@a\n", "@a ", "a.", "a.a", ".a", "a(", "a[", "a{", "a,", "a = ", "a=1\n", "a;\n", ";", "a + ", "a + (", "-a", "- ", "not ",
    "~", "!", "a if a else ", "lambda:", "lambda: ", "if a: ", "if a:\n", "if a {", "if (a) ", "if (a) {", "else ", "else if ", "elif a:\n a\n", "a ? ",
    "a ? a : ", "await ", "*", "**a", "a->", "a::", "::", "=>", "a => ", "() => ", "a => {", "|a|", "do |a| ", "do ", "end ", "end\n", "def a\n",
    "def a; end\n", "def a(): pass\n", "def a():\n 'a'\n", "class A\n", "class A{", "class A:\n ", "func a() {}\n", "func a() {", "func (a A) a(",
    "function a(){}\n", "function a(){", "function(){", "function ", "(function(){", "int a() {}\n", "void a(){", "public ", "public a ", "public a<",
    "new a<", "new a", "A<", "A<A", "import a\n", "import a, ", "from a import a\n", "global a\n", "x: 'a'\n", "x: '", "case a:\n", "switch(a){",
    "try {", "try:\n", "for ", "for(;;)", "for a in a:\n", "a for a in ", "with a: ", "[a for a in ", "return ", "return\n", "yield ", "unless a\n", "a rescue ",
    "select ", "const ", "const a ", "let a=", "var a,", "package a\n", "\\x", "0x", "1_", "1.", "1e1", "/a/", "/a", "/[", "/\\", "%", "%a", "\\(",
    "例", "a\x0b", "\x0c", "a\x0c", "a\r", "\\\r\n",
    # comments, licences, addresses, headings, tables, lists
    "example", "examples ", "for example", "parameters\n", "parameters\n-", ":param", ":a:`", ":a:a:`", ":a:`a <", "``a", "e.g.", "e.g. ", "no.", "i.e.", ">>> ", "..",
    ".. ", "----", "====\n", "a\n-\n", "MIT", "MIT OR ", "MIT AND ", "(MIT OR ", "MIT WITH ", "LicenseRef-", "a@", "a@a", "a@a.", "a.a@a.aa ",
    "password=", "password='", "password='1a", "secret_", "-----BEGIN ", "eyJ", "eyJaaaaaaaaaa.", "sk-", "xoxb-", "ghp_", "do not ", "do not edit", "generated", "auto",
    "1s", "1m1s", "1.1", "1ms", ",", "a|a|", "|-", "|a\n", "|a|\n|-|\n", "* ", "* a\n", "- a\n", "> ", ">", "> a\n", "1. a\n", "*a", "*a*", "**", "_a", "_a_", "__", "[a](", "[a](b", "[a]",
    "[a]: b\n", "[a](<", "![", "![[]()", "<http:", "<a@a", "    a\n", "```\na\n", "\\`", "&#", "a\n=\n", "{{", "{{a}}", "{a}", "{a", "---\n", "⟪", "⟪U+", "⟪U+0041⟫", "⟪ ", "\u202ea", "<bdi>\u202e",
)  # fmt: skip

_PREFIXES = (
    "assistant x", "human:", "é", "{", '{"a', '{"a": "', '{"a": 1}', "```", "<", '<a b="', "'", '"', "/*", "(", "x = ", "a", "#", "(a)", "<think>",
    "sorry", ":a:`", "password='", "a@a", "@", "public ", "def a(", "$", "1",
)  # fmt: skip
_PUMPS = ("\n", " ", "a", "0", "\t", "\r", ".", "-", "\\", '"', "'", "(", "a ", "a\n", "\n ", ",", "A")
_SUFFIXES = ("", "y", "\n!")
_ENDS = ("", "\x01")


def characters() -> Iterator[Hostile]:
    """One character again and again."""
    yield from map(Hostile, CHARACTERS)


def short_units() -> Iterator[Hostile]:
    """What has a meaning to some parser, again and again."""
    yield from map(Hostile, UNITS)


def begun_and_ended() -> Iterator[Hostile]:
    """Many more: something begins, goes on for ever, and ends otherwise."""
    for prefix, unit, suffix in product(_PREFIXES, _PUMPS, _SUFFIXES):
        yield Hostile(unit, prefix, suffix)


# --- made for one pattern ---------------------------------------------------------------------------------

_SAMPLES = 4  # texts that a part of a pattern matches
_ALTERNATIVES = 16
_CANDIDATES = " \n\t\ra0_A-.!/\"'<>(){}[]\\:;,#*=|@$%&+~`^?é漢\x01\u200bb"
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)
_LONG = 3  # repetitions from here on are worth a try


def made_for(pattern: re.Pattern[str]) -> list[Hostile]:
    """Texts that are as long as one likes for each repetition in `pattern`, and its own words again and again."""
    tree = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    found: dict[Hostile, None] = {}
    for begun, body in _repetitions(tree, pattern.flags, [""]):
        for prefix, unit in product(begun[:2], body[:_SAMPLES]):
            for end in _ENDS:
                found[Hostile(unit, prefix, end)] = None
            found[Hostile(prefix + unit)] = None
            found[Hostile(prefix + unit * 30)] = None
    for word in islice(dict.fromkeys(_texts(tree, pattern.flags)), _ALTERNATIVES):
        for unit in (word, f"{word}\n"):
            found[Hostile(unit)] = None
        for unit in (" ", "\n", "a"):
            found[Hostile(unit, word, "!")] = None
    return [one for one in found if one.unit]


def _repetitions(tree: Any, flags: int, begun: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """(texts that match up to it, texts that match its inside) of each repetition, at any depth."""
    for operator, argument in tree:
        if operator in _REPEATS:
            _, most, inside = argument
            if most > _LONG:
                yield begun, [one for one in _texts(inside, flags) if one]
            yield from _repetitions(inside, flags, begun)
        else:
            for inside in _inside(operator, argument):
                yield from _repetitions(inside, flags, begun)
        begun = _joined([begun, _texts_of(operator, argument, flags)])


def _inside(operator: Any, argument: Any) -> Iterator[Any]:
    if operator is _constants.BRANCH:
        yield from argument[1]
    elif operator is _constants.SUBPATTERN:
        yield argument[3]
    elif operator is _constants.ATOMIC_GROUP:
        yield argument
    elif operator in (_constants.ASSERT, _constants.ASSERT_NOT):
        yield argument[1]


def _texts(tree: Any, flags: int) -> list[str]:
    """A few texts that a part of a pattern matches, look-arounds aside."""
    return _joined([_texts_of(operator, argument, flags) for operator, argument in tree])


def _joined(parts: Sequence[list[str]]) -> list[str]:
    """The nth texts of all parts together; as many as the part has that has most."""
    parts = [part or [""] for part in parts]
    most = min(max(map(len, parts), default=1), _ALTERNATIVES)
    return ["".join(part[number % len(part)] for part in parts) for number in range(most)]


def _texts_of(operator: Any, argument: Any, flags: int) -> list[str]:
    if operator is _constants.LITERAL:
        return [chr(argument)]
    if operator in (_constants.NOT_LITERAL, _constants.ANY, _constants.IN):
        return _characters(operator, argument, flags)
    if operator in _REPEATS:
        least, _, inside = argument
        texts = [one * max(1, least) for one in _texts(inside, flags)]
        return texts if least else [*texts, ""]
    if operator is _constants.BRANCH:
        return _spread(_texts(one, flags) for one in argument[1])
    if operator in (_constants.SUBPATTERN, _constants.ATOMIC_GROUP):
        return [text for inside in _inside(operator, argument) for text in _texts(inside, flags)]
    return [""]


def _characters(operator: Any, argument: Any, flags: int) -> list[str]:
    """A few that a set has, of different kinds where it can be."""
    state = _parser.State()
    state.flags, state.str = flags & ~re.DEBUG, ""
    one = _compiler.compile(_parser.SubPattern(state, [(operator, argument)]), state.flags)
    own = [
        chr(value if kind is _constants.LITERAL else value[0])
        for kind, value in (argument if operator is _constants.IN else ())
        if kind in (_constants.LITERAL, _constants.RANGE)
    ]
    found = [text for text in dict.fromkeys([*own[:2], *_CANDIDATES]) if one.fullmatch(text)]
    return found[:_SAMPLES]


def _spread(groups: Iterable[list[str]]) -> list[str]:
    """The first two of each, so that one of many alternatives does not crowd the others out."""
    return [text for group in groups for text in group[:2]][:_ALTERNATIVES]
