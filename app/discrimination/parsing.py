"""A judge's reply becomes answers to rules, or says why it cannot. Failing to parse is never a "no". Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.discrimination.opinion import Answer, Said
from app.discrimination.rubric import Rule
from app.errors import Unparsable
from app.prompting.answers import fold, has_any
from app.prompting.prompt import Reply
from app.prompting.reading import Found, Mark, named, plain_text, read_json, usable_text

_ANSWERS = {"yes": Answer.YES, "true": Answer.YES, "no": Answer.NO, "false": Answer.NO}
_NOT_APPLICABLE = {"not applicable", "n/a", "na", "not_applicable", "none"}
_AROUND_AN_ANSWER = " \t\r\n.!,;:*_`'\"()<>[]"
_OVERALL = "overall"


class Opinion(NamedTuple):
    """What the judge said: an answer for each rule it was asked, and its own overall word if it gave one."""

    answers: Mapping[str, Said]
    claimed: Answer | None
    marks: tuple[Mark, ...]  # how the reply was not as asked for


def opinion(reply: Reply, rules: Sequence[Rule]) -> Opinion:
    """The answers in `reply`, which must name each of `rules` exactly once.

    Spelling is forgiven ("Yes.", **NO**, "Reasons") and so are remarks beside the rules; content is not:
    Unparsable is raised for a rule that is missing, invented or named twice, for an answer that is neither yes
    nor no, and for "not applicable" where the rule always applies.
    """
    names = [rule.rule for rule in rules]
    found = _lifted(read_json(usable_text(reply), [*names, _OVERALL]), names)
    asked, extra, marks = named(found.value, [*names, _OVERALL])
    _refuse_other_rules(names, asked, extra)
    answers = {rule.rule: _said(asked[rule.rule], rule) for rule in rules}
    claimed = _claim(asked[_OVERALL]) if _OVERALL in asked else None
    also = (
        (Mark.EXTRA, bool(extra)),
        (Mark.REWORDED, any(_is_reworded(asked[name]) for name in asked)),
        (Mark.UNREASONED, any(not said.reason for said in answers.values())),
        (Mark.UNCLAIMED, claimed is None),
    )
    return Opinion(answers, claimed, (*found.marks, *marks, *(mark for mark, holds in also if holds)))


def _lifted(found: Found, names: Sequence[str]) -> Found:
    """Some judges put the rules under a key of their own, beside the overall answer."""
    folded = {fold(name) for name in names}
    holders = [
        key for key, value in found.value.items() if isinstance(value, dict) and has_any(value, folded)
    ]
    if len(holders) != 1 or has_any(found.value, folded):
        return found
    rest = dict(found.value)
    rules: dict[str, Any] = rest.pop(holders[0])
    if rest.keys() & rules.keys():
        raise Unparsable("the reply gives the same key twice")
    return Found(rest | rules, (*found.marks, Mark.WRAPPED))


def _said(value: object, rule: Rule) -> Said:
    if not isinstance(value, dict):
        return Said(_answer(value, rule), "")
    asked, _, _ = named(value, ("answer", "reason", "reasons"))
    if "answer" not in asked:
        raise Unparsable(f"{rule.rule} has no answer")
    reason = plain_text(asked.get("reason", asked.get("reasons", "")), f"the reason of {rule.rule}").strip()
    answer = _answer(asked["answer"], rule)
    if answer is Answer.NOT_CHECKED:
        reason = f"not applicable: {reason}".removesuffix(": ")
    return Said(answer, reason)


def _claim(value: object) -> Answer:
    """The overall word; some judges give it in the form of the rules' answers."""
    if isinstance(value, dict):
        value = named(value, ("answer",)).asked.get("answer")
    return _yes_or_no(value, _OVERALL)


def _answer(value: object, rule: Rule) -> Answer:
    if _plain(value) not in _NOT_APPLICABLE:
        return _yes_or_no(value, rule.rule)
    if not rule.may_not_apply:
        raise Unparsable(f"{rule.rule} always applies: its answer is yes or no")
    return Answer.NOT_CHECKED


def _is_reworded(value: object) -> bool:
    """Whether an answer is none of the words that were asked for."""
    if isinstance(value, dict):
        value = named(value, ("answer",)).asked.get("answer")
    return value not in ("yes", "no", "not applicable")


def _yes_or_no(value: object, name: str) -> Answer:
    answer = _ANSWERS.get(_plain(value))
    if answer is None:
        raise Unparsable(f"the answer to {name} is neither yes nor no")
    return answer


def _plain(value: object) -> str:
    return str(value).lower().strip(_AROUND_AN_ANSWER) if isinstance(value, str | bool) else ""


def _refuse_other_rules(
    names: Sequence[str], asked: Mapping[str, object], extra: Mapping[str, object]
) -> None:
    missing = [name for name in names if name not in asked]
    if missing:
        raise Unparsable(f"no answer to: {', '.join(missing)}")
    invented = [name for name, value in extra.items() if _looks_like_an_answer(value)]
    if invented:
        raise Unparsable(f"unknown rule: {', '.join(repr(name[:40]) for name in invented[:5])}")


def _looks_like_an_answer(value: object) -> bool:
    return _plain(value) in _ANSWERS or (isinstance(value, dict) and "answer" in map(str.lower, value))
