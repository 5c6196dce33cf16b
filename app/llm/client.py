"""What the engine needs of a provider, and how a provider can fail."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from app.prompting.prompt import Prompt, Reply
from app.prompting.storable import storable

_LONGEST_CODE = 100
_LONGEST_DETAIL = 2000


class Failure(StrEnum):
    """What a failed call means for the work, whatever the provider's words were."""

    TRANSIENT = "transient"  # try again later: connection, timeout, 5xx
    RATE_LIMITED = "rate_limited"  # try again when allowed; the attempt is not charged
    PERMANENT = "permanent"  # this question will never be answered: filtered, too long, malformed
    FATAL = "fatal"  # no question will be answered: key, model, quota. The run pauses and says why


class Limits(NamedTuple):
    """What a provider allows for a model; None: unknown, to be found out."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class ProviderError(Exception):
    """A call that brought no reply. `code` is stable and shown, `retry_after` is in seconds.

    `may_be_billed`: the request went out and nobody knows whether it was answered. `never_sent`: it did not go out.
    """

    def __init__(
        self,
        failure: Failure,
        code: str,
        detail: str,
        *,
        retry_after: float | None = None,
        may_be_billed: bool = False,
        never_sent: bool = False,
    ) -> None:
        self.failure = failure
        self.code = storable(code, _LONGEST_CODE)
        self.detail = storable(detail, _LONGEST_DETAIL)
        super().__init__(f"{self.code}: {self.detail}")
        self.retry_after = retry_after
        self.may_be_billed = may_be_billed
        self.never_sent = never_sent


class Client(Protocol):
    """Asks one question. Raises `ProviderError`; never retries, the engine does."""

    async def ask(self, prompt: Prompt, model: str) -> Reply: ...

    async def close(self) -> None: ...
