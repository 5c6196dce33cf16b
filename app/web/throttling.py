"""The one throttle of this process."""

from functools import lru_cache

from app.accounts.throttle import Throttle, make_throttle
from app.settings import settings


@lru_cache
def sign_in_throttle() -> Throttle:
    return make_throttle(settings().redis_url)
