"""The spine: stages, statuses and the moves between them. Pure."""

from enum import StrEnum

LANGUAGES = ("go", "java", "javascript", "php", "python", "ruby")
OTHER = "other"  # what an imported instance is in that is in none of the six, or nobody can tell
INSTANCE_LANGUAGES = (*LANGUAGES, OTHER)


class Task(StrEnum):
    SUMMARIZATION = "summarization"
    GENERATION = "generation"
    TRANSLATION = "translation"
    REPAIR = "repair"


class Granularity(StrEnum):
    """How much a summary says."""

    LINE = "line"
    PARAGRAPH = "paragraph"
    STEPS = "steps"


class Standing(StrEnum):
    """What people have said about a case of the example bank."""

    USUAL = "usual"
    PINNED = "pinned"
    RETIRED = "retired"


class RunKind(StrEnum):
    INGEST = "ingest"
    IMPORT = "import"
    SELECT = "select"
    GENERATE = "generate"
    REPLAY = "replay"
    TRY = "try"
    RELEASE = "release"


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED_RUNS = (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)


class Stage(StrEnum):
    """What a work item asks for. The first seven hold calls to a model, the others keep a processor busy.

    What is later in the way of an instance sorts before what is earlier: it is done first.
    """

    GENERATE = "generate"
    DISCRIMINATE = "discriminate"
    CORRECT = "correct"  # the generator, with what the judge had found: a text goes back once at most
    CONFIRM = "confirm"  # the judge, about the corrected text
    REPLAY = "replay"  # a verdict by another judge on what people have decided
    TRY_PROMPT = "try_prompt"  # a generator's prompt on a pick; makes no instance
    TRY_JUDGE = "try_judge"  # a judge's prompt on an instance; makes no verdict
    INGEST = "ingest"
    IMPORT = "import"
    SELECT = "select"
    RELEASE = "release"


MODEL_STAGES = (
    Stage.GENERATE,
    Stage.DISCRIMINATE,
    Stage.CORRECT,
    Stage.CONFIRM,
    Stage.REPLAY,
    Stage.TRY_PROMPT,
    Stage.TRY_JUDGE,
)
MAKING_STAGES = MODEL_STAGES[:4]  # what makes an instance and its verdict; tries and replays make none


class ItemState(StrEnum):
    PARKED = "parked"  # planned, but only done if its lane's goal needs it
    PENDING = "pending"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


OPEN_ITEMS = (ItemState.PARKED, ItemState.PENDING, ItemState.LEASED)


class Priority(StrEnum):
    """How much of the calls in flight a run gets beside others."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


WEIGHT_OF_PRIORITY = {Priority.LOW: 1, Priority.NORMAL: 4, Priority.HIGH: 16}


class Outcome(StrEnum):
    """How one instance of a generation run ended. Every instance has exactly one, or is still pending."""

    PASSED = "passed"
    FAILED_VERDICT = "failed_verdict"
    INVALID_VERDICT = "invalid_verdict"
    UNUSABLE = "unusable"
    ANSWERED = "answered"  # of a try: the reply could be read
    ERROR = "error"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class InstanceStatus(StrEnum):
    GENERATING = "generating"  # text or verdict still missing, also after an error until retried
    UNUSABLE = "unusable"  # no four keys: unparsable, refused, cut off
    WAITING = "waiting"  # has text and, unless imported, a verdict, whatever it says: can reach a person
    DISPUTED = "disputed"  # its readers disagree, or too many skipped it: an adjudicator decides
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Verdict(StrEnum):
    """The discriminator's opinion: always a machine's, never called accepted."""

    PASS = "pass"
    FAIL = "fail"
    INVALID = "invalid"


class Action(StrEnum):
    """What a person does with an instance. A skip decides nothing, but is kept and can be undone."""

    ACCEPT = "accept"
    EDIT = "edit"
    REJECT = "reject"
    SKIP = "skip"


READINGS = (Action.ACCEPT, Action.EDIT, Action.REJECT)
"""The actions that answer what an instance is worth."""


class Move(StrEnum):
    """What is done in bulk with every instance that has text. Single decisions know no withdrawal: see `Action`."""

    ACCEPT = "accept"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    RESTORE = "restore"


class Stream(StrEnum):
    WORK = "work"
    AUDIT = "audit"


class AuditState(StrEnum):
    OPEN = "open"
    CERTIFIED = "certified"
    FAILED = "failed"  # more defects than the claim allows are found: it can never be certified
    ABANDONED = "abandoned"


class Census(StrEnum):
    """What an audit does with the suspicious part of a lot: rows with a failed verdict or failed evidence."""

    NONE = "none"  # it is drawn from like all the rest
    READ = "read"  # in full
    DROP = "drop"  # it leaves the lot


class Part(StrEnum):
    """Of a lot."""

    RANDOM = "random"
    CENSUS = "census"


class Finding(StrEnum):
    """The result of a mechanical check. What was not run says so, never `pass`."""

    PASS = "pass"
    FAIL = "fail"
    NOT_CHECKED = "not_checked"


class Role(StrEnum):
    ADMIN = "admin"
    ANNOTATOR = "annotator"
    VIEWER = "viewer"


class Scope(StrEnum):
    ADMIN = "admin"
    REVIEW = "review"
    READ = "read"


STATUS_AFTER: dict[Action, InstanceStatus] = {
    Action.ACCEPT: InstanceStatus.ACCEPTED,
    Action.EDIT: InstanceStatus.ACCEPTED,
    Action.REJECT: InstanceStatus.REJECTED,
    Action.SKIP: InstanceStatus.WAITING,
}

OPEN_TO_PEOPLE = (InstanceStatus.WAITING, InstanceStatus.DISPUTED)

HAVE_TEXT = (
    *OPEN_TO_PEOPLE,
    InstanceStatus.ACCEPTED,
    InstanceStatus.REJECTED,
    InstanceStatus.WITHDRAWN,
)

STATUS_AFTER_MOVE: dict[Move, InstanceStatus] = {
    Move.ACCEPT: InstanceStatus.ACCEPTED,
    Move.REJECT: InstanceStatus.REJECTED,
    Move.WITHDRAW: InstanceStatus.WITHDRAWN,
    Move.RESTORE: InstanceStatus.WAITING,
}

OUTCOME_OF_VERDICT: dict[Verdict, Outcome] = {
    Verdict.PASS: Outcome.PASSED,
    Verdict.FAIL: Outcome.FAILED_VERDICT,
    Verdict.INVALID: Outcome.INVALID_VERDICT,
}

OFFLINE = "offline"  # the name of the teacher and judge that need no model
