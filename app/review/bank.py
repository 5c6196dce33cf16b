"""The judged case that a person's decision adds to the example bank. Pure."""

from collections.abc import Mapping, Sequence

from app.pipeline import Action
from app.prompting.exemplars import Case
from app.review.judgement import Judgement, Text
from app.review.shapes import RuleShape

NOT_MET = "Not met: "


def case_of(judgement: Judgement, before: Text, after: Text, rules: Sequence[RuleShape]) -> Case | None:
    """Good for what was accepted or edited, bad for what was rejected; a skip judges nothing.

    `before` is the text that the person saw, `after` the one that they left.
    """
    match judgement.action:
        case Action.ACCEPT | Action.EDIT:
            return Case(*after, is_good=True, analysis=_why_good(judgement, before, after))
        case Action.REJECT:
            return Case(*before, is_good=False, analysis=_why_bad(judgement, rules))
        case Action.SKIP:
            return None


def _why_good(judgement: Judgement, before: Text, after: Text) -> str:
    corrected = [field for field in Text._fields if getattr(before, field) != getattr(after, field)]
    said = [
        f"A reader corrected its {' and '.join(corrected)}."
        if corrected
        else "A reader accepted it as it is."
    ]
    return " ".join([*said, judgement.note] if judgement.note else said)


def _why_bad(judgement: Judgement, rules: Sequence[RuleShape]) -> str:
    said = [f"A reader rejected it as {judgement.reason}.", judgement.note, *_failing(judgement.rules, rules)]
    return " ".join(part for part in said if part)


def _failing(overrides: Mapping[str, str], rules: Sequence[RuleShape]) -> list[str]:
    """The rules that fail in the end: a person's own answer counts more than the machine's."""
    return [
        f"{NOT_MET}{rule.text}" + (f" ({rule.reason})" if rule.failed and rule.reason else "")
        for rule in rules
        if overrides.get(rule.rule, rule.answer) == "no"
    ]
