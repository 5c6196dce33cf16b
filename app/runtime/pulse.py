"""Whether a web process answers. One that is silent for too long lives, but serves nobody: it is killed to start anew.

What is asked is `/healthz`, which the event loop answers without a thread or the database: a busy server answers late,
and only one that is stuck does not answer at all.
"""

import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from app.runtime.processes import Child

ASKS = 6  # within the silence that is too long
STARTING_S = 120.0  # on top, until the first answer: imports take their time on a busy machine
SLEPT_S = 5.0
"""As long a gap between two looks was not the web's silence: the machine slept, or nobody let us run."""


class Pulse:
    """Asks in a thread of its own, so that whoever looks after the children never waits for an answer."""

    def __init__(self, web: Child, url: str, silent_s: float) -> None:
        self._web = web
        self._address = urlsplit(url).netloc
        self._silent_s = silent_s
        self._watched = web.pid
        self._allowed_s = silent_s  # it has answered `/readyz` just now
        self._looked_at = self._asked_at = self._heard_at = time.monotonic()
        self._asking: threading.Thread | None = None

    def look(self) -> None:
        """Ask when it is time to; kill the web process when it has been silent for too long. To be called often."""
        now = time.monotonic()
        if self._web.pid != self._watched:
            self._watched, self._allowed_s, self._heard_at = self._web.pid, self._silent_s + STARTING_S, now
        if now - self._looked_at > SLEPT_S or not self._web.is_alive:
            self._heard_at = now
        self._looked_at = now
        silent_s = now - self._heard_at
        if silent_s > self._allowed_s:
            self._web.give_up(f"did not answer /healthz for {silent_s:.0f} s")
            self._heard_at = now
        elif now - self._asked_at > self._silent_s / ASKS and not self._is_asking:
            self._asked_at = now
            self._asking = threading.Thread(
                target=self._ask, args=(self._watched,), name="pulse", daemon=True
            )
            self._asking.start()

    @property
    def _is_asking(self) -> bool:
        return self._asking is not None and self._asking.is_alive()

    def _ask(self, pid: int | None) -> None:
        # As patient as the silence is long: an answer that comes late is one.
        with closing(HTTPConnection(self._address, timeout=self._silent_s)) as connection:
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except (OSError, HTTPException):
                return  # no answer: what that means, the clock decides
        if pid == self._watched:
            self._heard_at, self._allowed_s = time.monotonic(), self._silent_s
