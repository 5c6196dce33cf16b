"""How often a password may be tried. Counted in Redis for all processes; without Redis, in this process."""

from dataclasses import dataclass

import structlog
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from app.errors import TooManyAttempts

_log = structlog.get_logger()

# From one address somebody may mistype; from many, somebody is guessing. Nobody can lock the owner of a name
# out from elsewhere with the first limit alone.
PER_NAME_AND_ADDRESS = RateLimitItemPerMinute(10, 15)
PER_NAME = RateLimitItemPerMinute(100, 15)
PER_ADDRESS = RateLimitItemPerMinute(100, 15)


@dataclass(frozen=True)
class Throttle:
    """Counts attempts before the password is looked at, so that many at once cannot slip through."""

    shared: MovingWindowRateLimiter | None
    local: MovingWindowRateLimiter

    def count_attempt(self, name: str, address: str) -> None:
        """Raises TooManyAttempts when one of the limits is reached."""
        name = name.casefold()
        for rate, keys in (
            (PER_NAME_AND_ADDRESS, ("name_and_address", name, address)),
            (PER_NAME, ("name", name)),
            (PER_ADDRESS, ("address", address)),
        ):
            self._hit(rate, keys)

    def forget_attempts(self, name: str, address: str) -> None:
        """A right password: earlier typing errors of this person here count no more."""
        keys = ("name_and_address", name.casefold(), address)
        try:
            (self.shared or self.local).clear(PER_NAME_AND_ADDRESS, *keys)
        except StorageError as error:
            _log.warning("throttle_without_redis", error=str(error))

    def _hit(self, rate: RateLimitItemPerMinute, keys: tuple[str, ...]) -> None:
        limiter = self.shared or self.local
        try:
            free = limiter.hit(rate, *keys)
        except StorageError as error:
            _log.warning("throttle_without_redis", error=str(error))
            limiter = self.local
            free = limiter.hit(rate, *keys)
        if not free:
            minutes = rate.get_expiry() // 60
            raise TooManyAttempts(
                f"too many attempts to sign in; wait up to {minutes} minutes, or ask an administrator for a "
                "new password",
                retry_after=rate.get_expiry(),
            )


def make_throttle(redis_url: str | None) -> Throttle:
    """`redis_url` as redis-py spells it; None counts in this process only."""
    local = MovingWindowRateLimiter(MemoryStorage())
    if redis_url is None:
        return Throttle(None, local)
    address = redis_url.replace("unix://", "redis+unix://", 1)
    shared = RedisStorage(address, wrap_exceptions=True, key_prefix="breakwater:throttle", socket_timeout=2)
    return Throttle(MovingWindowRateLimiter(shared), local)
