"""What a race needs to stand in the database: made when a recipe asks for it, committed before anybody starts."""

from functools import cached_property
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.accounts.sessions import open_session as sign_in
from app.accounts.tokens import create_token
from app.pipeline import (
    Action,
    InstanceStatus,
    ItemState,
    Outcome,
    RunKind,
    RunState,
    Scope,
    Stage,
    Stream,
    Task,
)
from app.prompting.exemplars import Case, exemplar_of
from app.review.audit_queries import Draw
from app.review.audit_stream import next_draw
from app.review.judgement import Judgement
from app.review.leases import give_lease
from app.review.service import decide
from app.storage.tables import (
    ApiToken,
    Audit,
    Decision,
    Exemplar,
    Instance,
    LotRow,
    Person,
    Pick,
    Revision,
    Run,
    RunCount,
    Selection,
    SignIn,
)
from tests.audit.lots import lot_of, make_audit, make_instances, read
from tests.factories import (
    make_call,
    make_instance,
    make_item,
    make_person,
    make_pick,
    make_project,
    make_run,
    make_snippet,
)
from tests.races.product import AT_ONCE, Asked
from tests.review.review_cases import judged

ACCEPT = Judgement(Action.ACCEPT, None, "", {}, {})
BROWSERS = AT_ONCE // 2 + 1  # the first one sends half of the requests, each of the others one


class World:
    """A project and the administrator who acts in it."""

    def __init__(self, session: Session, *, everywhere: bool = False) -> None:
        self.session = session
        self.project = make_project(session)
        self.person = make_person(session, "admin", None if everywhere else self.project)
        self.slug, self.api = self.project.slug, f"/api/v1/projects/{self.project.slug}"

    # --- asking ---

    def at(self, asked: Asked, number: int = 0) -> Asked:
        """The request as this person sends it: a script's over REST, else a browser's that has the project open."""
        if "Authorization" in asked.headers:
            return asked
        if asked.path.startswith("/api/"):
            return asked._replace(headers={**asked.headers, "Authorization": f"Bearer {self.token}"})
        if "Cookie" in asked.headers:
            return asked
        cookie, csrf = self.browsers[max(0, number - AT_ONCE + BROWSERS)]
        path = asked.path + ("&" if "?" in asked.path else "?") + f"project={self.slug}"
        headers = {"Cookie": f"breakwater_session={cookie}", "X-CSRF-Token": csrf}
        return asked._replace(path=path, headers={**asked.headers, **headers})

    def by(self, person: Person, asked: Asked) -> Asked:
        """The same over REST, of somebody else."""
        return asked._replace(headers={**asked.headers, "Authorization": f"Bearer {self._token_of(person)}"})

    @cached_property
    def token(self) -> str:
        return self._token_of(self.person)

    def _token_of(self, person: Person) -> str:
        """Used just now: requests do not queue up to write down that it is used."""
        token = create_token(self.session, None, person, "races", Scope.ADMIN)
        used = update(ApiToken).where(ApiToken.person_id == person.id)
        self.session.execute(used.values(last_used_at=func.now()))
        return token

    @cached_property
    def browsers(self) -> list[tuple[str, str]]:
        """The cookie and the form token of each."""
        cookies = [sign_in(self.session, self.person) for _ in range(BROWSERS)]
        query = select(SignIn).where(SignIn.person_id == self.person.id).order_by(SignIn.id)
        rows = self.session.scalars(query).all()
        rows[0].project_id = self.project.id  # the first one has the project open already
        return [(cookie, row.csrf_token) for cookie, row in zip(cookies, rows, strict=True)]

    def end_runs(self) -> None:
        """Nothing is left to do of what made the material; whoever looks for ended runs finds none."""
        done = update(Run).where(Run.state == RunState.RUNNING)
        self.session.execute(done.values(state=RunState.COMPLETED))

    # --- people ---

    @cached_property
    def reader(self) -> Person:
        return make_person(self.session, "annotator", self.project)

    @cached_property
    def other(self) -> Person:
        return make_person(self.session, "annotator", self.project)

    # --- instances ---

    @cached_property
    def run(self) -> Run:
        return make_run(self.session, self.project, state=RunState.COMPLETED)

    @cached_property
    def instance(self) -> Instance:
        return self.make_instance()

    def make_instance(self, **values: Any) -> Instance:
        return make_instance(
            self.session,
            make_pick(self.session, make_snippet(self.session, self.project)),
            self.run,
            **values,
        )

    def lease(self, instance: Instance | None = None, person: Person | None = None) -> str:
        instance, person = instance or self.instance, person or self.person
        return give_lease(self.session, instance.id, person.id).token

    def decided(self, judgement: Judgement = ACCEPT, person: Person | None = None) -> Decision:
        person = person or self.person
        token = self.lease(person=person)
        return decide(self.session, person, self.instance.id, token, judgement)

    @cached_property
    def disputed(self) -> Instance:
        """One reader accepts it, another rejects it."""
        instance = self.instance
        instance.status, instance.readings, instance.readings_wanted = InstanceStatus.DISPUTED, 2, 2
        for person, action in ((self.reader, Action.ACCEPT), (self.other, Action.REJECT)):
            self.session.add(
                Decision(
                    project_id=self.project.id,
                    instance_id=instance.id,
                    person_id=person.id,
                    stream=Stream.WORK,
                    action=action,
                    reason="incorrect" if action is Action.REJECT else None,
                    revision=0,
                )
            )
        self.session.flush()
        return instance

    @cached_property
    def exemplar(self) -> Exemplar:
        case = Case("Add one.", "", f"x + {self.project.id}", True, "It is short.")
        row = Exemplar(
            project_id=self.project.id, origin="person", **exemplar_of(Task.GENERATION, "python", case)
        )
        self.session.add(row)
        self.session.flush()
        return row

    # --- audits ---

    @cached_property
    def audit(self) -> Audit:
        self.lot = make_instances(self.session, self.project, 4)
        return make_audit(self.session, self.project, self.person, max_defect_rate=0.4)

    def draw(self, person: Person | None = None) -> Draw:
        found = next_draw(self.session, self.project, person or self.person, audit_id=self.audit.id)
        assert isinstance(found, Draw)
        return found

    @cached_property
    def read_as_ok(self) -> LotRow:
        row = lot_of(self.session, self.audit)[0]
        read(self.session, self.audit, row, by=self.reader)
        return row

    @cached_property
    def disputed_draw(self) -> LotRow:
        row = lot_of(self.session, self.audit)[0]
        row.twice = True
        read(self.session, self.audit, row, by=self.reader)
        read(self.session, self.audit, row, defect=True, by=self.other)
        return row

    # --- runs ---

    @cached_property
    def generation(self) -> Run:
        """Paused; an item failed, one waits, and nobody knows what became of a third one's call."""
        run = make_run(
            self.session,
            self.project,
            state=RunState.PAUSED,
            total=3,
            reserved_micro=1200,
            params={"generator": "offline", "discriminator": "offline", "seed": 0},
        )
        ended = {"state": ItemState.FAILED, "outcome": Outcome.UNUSABLE, "error_code": "unparsable"}
        self.session.add(RunCount(run_id=run.id, code=Outcome.UNUSABLE, rows=1))
        for values in (ended, {}, {"attempts": 1}):
            pick = make_pick(self.session, make_snippet(self.session, self.project))
            status = InstanceStatus.UNUSABLE if "outcome" in values else InstanceStatus.GENERATING
            instance = make_instance(self.session, pick, run, status=status)
            item = make_item(self.session, instance, Stage.GENERATE, **values)
            if values is ended:
                make_call(self.session, item, "no", usable=False)
            elif values:
                make_call(self.session, item, "", state="unknown", reserved_micro=1200)
        return run

    @cached_property
    def selection(self) -> Selection:
        run = make_run(self.session, self.project, kind=RunKind.SELECT, state=RunState.COMPLETED)
        selection = Selection(project_id=self.project.id, run_id=run.id, k=3, seed=0, embedder="test")
        self.session.add(selection)
        self.session.flush()
        for rank in (1, 2, 3):
            snippet = make_snippet(self.session, self.project)
            self.session.add(Pick(selection_id=selection.id, snippet_id=snippet.id, rank=rank, radius=1.0))
        self.session.flush()
        return selection

    @cached_property
    def judged(self) -> Instance:
        """Decided by a person, who saw a verdict."""
        verdict = judged(self.session, self.instance, {"solution_answers": "yes"})
        self.session.add(
            Revision(
                instance_id=self.instance.id, number=0, instruction="Write it.", information="", solution="x"
            )
        )
        self.session.flush()
        decision = self.decided()
        assert decision.verdict_id == verdict.id
        return self.instance
