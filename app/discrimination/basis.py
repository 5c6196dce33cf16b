"""What a run judges by: the judge's prompt and the rules that it has fixed. Touches the tables through its session."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from app.discrimination import prompts, queries
from app.discrimination.mechanical import Evidence, machine_answers
from app.discrimination.offline import no_opinion, silence
from app.discrimination.opinion import Answered as AnsweredRule
from app.discrimination.opinion import merged, overall
from app.discrimination.parsing import Opinion, opinion
from app.discrimination.prompts import Judged
from app.discrimination.rubric import Rule, RuleSet, by_a_model, rule_set
from app.pipeline import OFFLINE, Task, Verdict
from app.prompting.exemplars import NONE, Case, Drawn
from app.prompting.prompt import Answered, Prompt
from app.prompting.template import Template, asks_for
from app.storage.bank import reply_of, template_content
from app.storage.frozen import Frozen
from app.storage.tables import Call


class Basis(NamedTuple):
    """The prompt and the rules of one task."""

    written: Template
    rules: RuleSet

    def rules_for(self, judged: Judged) -> tuple[Rule, ...]:
        return self.rules.of(judged.language, judged.target_language)

    def silence(self, judged: Judged) -> Answered:
        """The offline judge's answer."""
        return silence(by_a_model(self.rules_for(judged)), self.rules.content_hash)

    def shown(self, drawn: Drawn) -> Drawn:
        """The cases that the prompt has a place for."""
        return drawn if asks_for(self.written.content, "cases") else NONE

    def question(self, judged: Judged, drawn: Drawn, cases: Sequence[Case | None]) -> Prompt:
        good, bad = cases
        asked = prompts.ask(judged, good, bad, self.written.content, by_a_model(self.rules_for(judged)))
        return asked._replace(**drawn.columns())

    def said_by(self, call: Call, judged: Judged) -> Opinion:
        """What the judge's reply says; nothing, where it was the offline one. Raises Unparsable."""
        rules = by_a_model(self.rules_for(judged))
        if call.model == OFFLINE:
            return Opinion(no_opinion(rules), claimed=None, marks=())
        return opinion(reply_of(call), rules)

    def answers(self, judged: Judged, said: Opinion, evidence: Evidence) -> list[AnsweredRule]:
        """One for each rule that holds for the instance, the machine's among them."""
        return merged(self.rules_for(judged), said.answers, machine_answers(judged, evidence))

    def verdict(self, session: Session, call: Call, judged: Judged, revision: int) -> Verdict:
        """What follows from a reply, and from what was found about the revision that it judges. Raises Unparsable."""
        said = self.said_by(call, judged)
        evidence = queries.evidence_of_revision(session, call.source_id, revision)
        return overall(self.answers(judged, said, evidence))


class Bases:
    """Of every run."""

    def __init__(self) -> None:
        self._frozen = Frozen(shipped())

    def of(self, session: Session, run_id: int, task: Task) -> Basis:
        written = self._frozen.template(session, run_id, f"judge/{task}")
        rules = self._frozen.template(session, run_id, f"rules/{task}")
        return Basis(written, rule_set(rules.content))

    def looked_up(self, session: Session, run_id: int, task: Task) -> Basis:
        """The same, of a run that is over: it fixes nothing any more."""
        written = self._frozen.looked_up(session, run_id, f"judge/{task}")
        rules = self._frozen.looked_up(session, run_id, f"rules/{task}")
        return Basis(written, rule_set(rules.content))

    def of_call(self, session: Session, call: Call, task: Task) -> Basis:
        """What a call was asked by. Raises NotFound where its prompt is not kept."""
        basis = self.looked_up(session, call.run_id, task)
        content = template_content(session, call.template_hash)
        return basis._replace(written=Template(basis.written.name, "", content, call.template_hash))


def shipped() -> list[Template]:
    """Every prompt and rule set that a project judges by until people write others."""
    return [make(task) for task in Task for make in (prompts.template, prompts.rules_template)]
