"""What can go wrong, in the domain's own words. `app.web` maps these to status codes."""


class DomainError(Exception):
    """A refusal that a person can act on; its text is shown as it is."""


class NotFound(DomainError):
    """There is no such thing, or the person may not know that there is."""


class Conflict(DomainError):
    """The thing is in a state that does not allow this (already decided, lease lost, name taken)."""


class Forbidden(DomainError):
    """The person is known, but may not do this."""


class InvalidInput(DomainError):
    """A value that cannot be used. `field` names it."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class TooLarge(DomainError):
    """An upload or a body beyond its limit."""


class TooManyAttempts(DomainError):
    """A limit of attempts is reached; `retry_after` says in how many seconds it opens again."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unparsable(DomainError):
    """A model's reply that does not hold what was asked for. Its own outcome, never a "no".

    `code` counts it; `is_final` says that asking again will not help (a refusal, a content filter).
    """

    def __init__(self, message: str, code: str = "unparsable", *, is_final: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.is_final = is_final
