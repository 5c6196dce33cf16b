"""`breakwater up`: everything in the foreground, until Ctrl-C or SIGTERM ends it in order."""

import errno
import signal
import socket
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from http.client import HTTPConnection, HTTPException
from types import FrameType
from urllib.parse import urlsplit

import structlog
from sqlalchemy.orm import Session

from app.accounts.service import ensure_first_admin
from app.runtime import processes
from app.runtime.home import CannotStart, Home, InUse
from app.runtime.instance import DEMO, WEB, background, parts
from app.runtime.processes import Child
from app.runtime.pulse import Pulse
from app.settings import Settings
from app.storage.database import make_engine

_log = structlog.get_logger()

ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}
CRASHES_BEFORE_READY = 3


class Stop:
    """Whether somebody asked to stop. The first signal interrupts, the others change nothing more."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            raise KeyboardInterrupt


@contextmanager
def stoppable() -> Generator[Stop]:
    """Let the first SIGINT, SIGTERM or SIGHUP end the block, and no second one disturb its way out."""
    stop = Stop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    except KeyboardInterrupt:
        _log.info("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def up(chosen: Settings, *, with_demo: bool) -> None:
    """Serve until asked to stop. Raises `CannotStart` when something is in the way."""
    if running := Home(chosen.home).running():
        raise InUse(chosen.home, running)
    port = _free_port(chosen)
    url = _url(chosen.host, port)
    with (
        stoppable() as stop,
        parts(chosen) as started,
        background(started) as workers,
        _running(started.child("web", WEB, "--host", chosen.host, "--port", str(port))) as web,
    ):
        started.home.announce(started.announcement(url))
        _say(f"Breakwater keeps its data in {started.home.path} and its logs in {started.home.logs}")
        _say_first_password(started.servers.database_url)
        children = [*started.servers.children, *workers, web]
        _await_ready(url, web, children)
        _say(f"ready: {url}")
        pulse = Pulse(web, url, chosen.web_silent_s)
        with _running(started.child("demo", DEMO)) if with_demo else nullcontext() as demo:
            _watch(stop, children, demo, pulse)


@contextmanager
def _running(child: Child) -> Generator[Child]:
    child.start()
    try:
        yield child
    finally:
        processes.end([child], [(signal.SIGTERM, 5)])


def _watch(stop: Stop, children: Sequence[Child], demo: Child | None, pulse: Pulse) -> None:
    while not stop.asked:
        pulse.look()
        _tend(children)
        if demo is not None and demo.status is not None:
            if demo.status != 0:
                _log.warning("the demo project could not be loaded", log=str(demo.log), end=demo.last_words())
            demo = None
        time.sleep(0.2)


def _tend(children: Sequence[Child]) -> None:
    for child in children:
        if said := child.tend():
            _log.warning(said)


def _await_ready(url: str, web: Child, children: Sequence[Child]) -> None:
    """Wait for `/readyz`, saying now and then what it still waits for."""
    reminder = time.monotonic() + 15
    while True:
        answer = _asked(url)
        if answer is None:
            return
        _tend(children)
        if web.crashes > CRASHES_BEFORE_READY:
            raise CannotStart(f"the web server does not start. The end of {web.log}:\n{web.last_words(20)}")
        if time.monotonic() > reminder:
            _log.info("not ready yet", answer=answer)
            reminder += 15
        time.sleep(0.1)


def _asked(url: str) -> str | None:
    """None when the instance says it is ready, else what it says."""
    # Not urllib, which would send this through a proxy named in the environment.
    connection = HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        return None if answer.status == 200 else body
    except (OSError, HTTPException) as error:
        return str(error)
    finally:
        connection.close()


def _free_port(chosen: Settings) -> int:
    """The port to serve on. One that was asked for must be free; instead of the default any will do."""
    if _can_listen(chosen.host, chosen.port):
        return chosen.port or _any_port(chosen.host)
    if "port" in chosen.model_fields_set:
        raise CannotStart(f"port {chosen.port} is in use: name another with PORT, or PORT=0 for any free one")
    port = _any_port(chosen.host)
    _log.warning(f"port {chosen.port} is in use, serving on {port} instead")
    return port


def _can_listen(host: str, port: int) -> bool:
    try:
        _listen(host, port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise CannotStart(f"cannot listen on HOST {host}, PORT {port}: {error}") from None
    return True


def _any_port(host: str) -> int:
    with _listen(host, 0) as listening:
        return listening.getsockname()[1]


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def _url(host: str, port: int) -> str:
    reached = ANY_HOST.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _say_first_password(database_url: str) -> None:
    engine = make_engine(database_url)
    with Session(engine) as session, session.begin():
        password = ensure_first_admin(session)
    engine.dispose()
    if password is not None:
        _say(f"sign in as `admin` with the one-time password: {password}")


def _say(line: str) -> None:
    print(line, flush=True)
