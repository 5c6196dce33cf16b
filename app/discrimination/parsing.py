"""A judge's reply becomes answers to rules, or says why it cannot. Failing to parse is never a "no". Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.discrimination.opinion import Answer, Said
from app.discrimination.rubric import Rule
from app.errors import Unparsable
from app.prompting.prompt import Reply
from app.prompting.reading import plain_text, read_json, usable_text

_ANSWERS = {"yes": Answer.YES, "true": Answer.YES, "no": Answer.NO, "false": Answer.NO}
_NOT_APPLICABLE = {"not applicable", "n/a", "na", "not_applicable", "none"}
_AROUND_AN_ANSWER = " \t\r\n.!,;:*_`'\"()"


class Opinion(NamedTuple):
    """What the judge said: an answer for each rule it was asked, and its own overall word if it gave one."""

    answers: Mapping[str, Said]
    claimed: Answer | None
    repaired: bool  # whether the reply's JSON had to be mended first


def opinion(reply: Reply, rules: Sequence[Rule]) -> Opinion:
    """The answers in `reply`, which must name each of `rules` exactly once and nothing else.

    Spelling is forgiven ("Yes.", **NO**, "Reasons"), content is not: Unparsable is raised for a rule that is
    missing, unknown or named twice, for an answer that is neither yes nor no, and for "not applicable" where
    the rule always applies.
    """
    names = [rule.rule for rule in rules]
    found = read_json(usable_text(reply), names)
    by_name = _folded(found.value, "the reply")
    claimed = by_name.pop("overall", None)
    _refuse_other_names(names, by_name)
    return Opinion(
        answers={rule.rule: _said(by_name[rule.rule], rule) for rule in rules},
        claimed=None if claimed is None else _yes_or_no(claimed, "overall"),
        repaired=found.repaired,
    )


def _said(value: object, rule: Rule) -> Said:
    if not isinstance(value, dict):
        return Said(_answer(value, rule), "")
    fields = _folded(value, rule.rule)
    if "answer" not in fields:
        raise Unparsable(f"{rule.rule} has no answer")
    reason = plain_text(fields.get("reason", fields.get("reasons", "")), f"the reason of {rule.rule}").strip()
    answer = _answer(fields["answer"], rule)
    if answer is Answer.NOT_CHECKED:
        reason = f"not applicable: {reason}".removesuffix(": ")
    return Said(answer, reason)


def _answer(value: object, rule: Rule) -> Answer:
    if _plain(value) not in _NOT_APPLICABLE:
        return _yes_or_no(value, rule.rule)
    if not rule.may_not_apply:
        raise Unparsable(f"{rule.rule} always applies: its answer is yes or no")
    return Answer.NOT_CHECKED


def _yes_or_no(value: object, name: str) -> Answer:
    answer = _ANSWERS.get(_plain(value))
    if answer is None:
        raise Unparsable(f"the answer to {name} is neither yes nor no")
    return answer


def _plain(value: object) -> str:
    return str(value).lower().strip(_AROUND_AN_ANSWER) if isinstance(value, str | bool) else ""


def _folded(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """With keys in lower case. Two keys that differ in case only would be two answers to one question."""
    folded = {key.strip().lower(): content for key, content in value.items()}
    if len(folded) < len(value):
        raise Unparsable(f"{where} gives the same key twice")
    return folded


def _refuse_other_names(names: Sequence[str], found: Mapping[str, object]) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        raise Unparsable(f"no answer to: {', '.join(missing)}")
    unknown = [name for name in found if name not in names]
    if unknown:
        raise Unparsable(f"unknown rule: {', '.join(repr(name[:40]) for name in unknown[:5])}")
