"""Which instances go back to their generator, and what it is told. Pure."""

from collections.abc import Sequence

from app.discrimination.mechanical import Evidence
from app.discrimination.opinion import Answer, Answered
from app.pipeline import Finding, Verdict

CORRECTABLE = ("parses", "names_resolve")  # kinds of evidence that another text can change


def can_be_corrected(overall: Verdict, evidence: Evidence) -> bool:
    """A required rule is not met, or a check of the text failed. A verdict that cannot be read says nothing."""
    return overall is Verdict.FAIL or (overall is Verdict.PASS and bool(_failed(evidence)))


def what_was_found(answers: Sequence[Answered], evidence: Evidence) -> str:
    """A line for each rule that is not met and each check that failed, with its reason."""
    lines = [
        f"- Not met: {one.rule.text}" + (f" {one.reason}" if one.reason else "")
        for one in answers
        if one.answer is Answer.NO
    ]
    lines += [
        f"- The check “{kind.replace('_', ' ')}” failed: {evidence[kind].detail}"
        for kind in _failed(evidence)
    ]
    return "\n".join(lines)


def _failed(evidence: Evidence) -> list[str]:
    return [kind for kind in CORRECTABLE if kind in evidence and evidence[kind].result is Finding.FAIL]
