"""The form of a rule: what stands in it, and the rule that it describes. Pure."""

from pydantic import BaseModel, Field

from app.discrimination.rubric import CheckedBy, Rule
from app.errors import InvalidInput
from app.pipeline import Task


class RuleForm(BaseModel):
    """As typed. Without a language the rule holds for all, without a check the one of the rule's own name."""

    rule: str = Field(default="", max_length=100)
    text: str = Field(default="", max_length=5000)
    tasks: list[str] = Field(default=[], max_length=10)
    counts: str = Field(default="required", max_length=20)
    checked_by: str = Field(default=CheckedBy.MODEL, max_length=20)
    check: str = Field(default="", max_length=100)
    language: str = Field(default="", max_length=20)
    may_not_apply: bool = False
    note: str = Field(default="", max_length=1000)


def form_of(rule: Rule) -> RuleForm:
    return RuleForm(
        rule=rule.rule,
        text=rule.text,
        tasks=list(rule.tasks),
        counts="required" if rule.required else "advisory",
        checked_by=rule.checked_by,
        check=rule.check or "",
        language=rule.language or "",
        may_not_apply=rule.may_not_apply,
    )


def rule_of(form: RuleForm) -> Rule:
    """The rule that is described, without a version. Raises InvalidInput naming the field."""
    unknown = [task for task in form.tasks if task not in set(Task)]
    if unknown:
        raise InvalidInput(f"there is no task {unknown[0][:40]}", "tasks")
    if form.counts not in ("required", "advisory"):
        raise InvalidInput("a rule is required or advisory", "counts")
    if form.checked_by not in set(CheckedBy):
        raise InvalidInput(f"a rule is checked by {', '.join(CheckedBy)}", "checked_by")
    name, check = form.rule.strip(), form.check.strip()
    return Rule(
        rule=name,
        text=" ".join(form.text.split()),
        tasks=tuple(task for task in Task if task in form.tasks),
        required=form.counts == "required",
        checked_by=CheckedBy(form.checked_by),
        version=0,
        may_not_apply=form.may_not_apply,
        language=form.language or None,
        check=None if check in ("", name) else check,
    )
