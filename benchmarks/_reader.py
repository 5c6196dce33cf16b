"""One reader of `benchmarks.races`: asks, decides, sends things twice, and may be killed at any moment.

    python -I -S _reader.py '{"url": ..., "token": ..., "project": ..., "seed": ..., "journal": ..., "stop": ...}'

Only the standard library, so that twenty of them start at once and leave the cores to the product. What a reader
is told and what it does goes line by line into its journal, which another life of the same person goes on with.
It ends when the file `stop` is there.
"""

import contextlib
import http.client
import json
import sys
import time
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATIENCE_S = 30
BUSY_TRIES = 100  # while an abandoned request under the same key is still being answered
WEIGHTS = {"accept": 62, "edit": 8, "reject": 18, "skip": 12}

AHEAD = 0.15  # how often one more card is fetched
LATE = 0.05  # how often a reader takes a break over a card: long enough to lose it
TWICE = 0.05  # how often a decision is sent once more, as by a double click
UNDO = 0.05
KEYED = 0.5  # how often a POST carries a key
UNSEEN = 0.1  # how often its answer is not waited for, and it is sent again
AGAIN = 0.15  # how often an answered one with a key is sent again


class Answer(NamedTuple):
    status: int
    body: Any


class Reader:
    """A person with a token, and what chance makes them do."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._address = urlsplit(asked["url"])
        self._token, self._project = asked["token"], asked["project"]
        self._chance = Random(asked["seed"])
        self._seed = asked["seed"]
        self._keys = 0
        self._journal = Path(asked["journal"]).open("a", buffering=1)  # noqa: SIM115 - open while it lives
        self._stop = Path(asked["stop"])
        self._line = self._connect()

    def read(self) -> None:
        while not self._stop.exists():
            card = self._ask()
            if card is None:
                time.sleep(self._chance.uniform(0.1, 0.3))
                continue
            ahead = self._ask(prefetch=True) if self._happens(AHEAD) else None
            if self._happens(LATE):
                self._take_a_break()
            self._decide(self._chance.choice([card, ahead or card]))

    def _take_a_break(self) -> None:
        """Asking in between keeps the card, if nobody was faster."""
        time.sleep(self._chance.uniform(0.05, 0.3))
        if self._happens(0.5):
            self._ask()
            time.sleep(self._chance.uniform(0.05, 0.3))

    def _ask(self, **body: Any) -> Any:
        """The card that is given, or None."""
        answer = self._post("next", f"/projects/{self._project}/review/next", body)
        if answer.status != 200:
            return None
        self._note(card=answer.body["instance"]["id"], token=answer.body["lease"]["token"])
        return answer.body

    def _decide(self, card: Any) -> None:
        instance = card["instance"]["id"]
        path, body = f"/instances/{instance}/decisions", self._judgement(card)
        answer = self._post("decision", path, body)
        if answer.status != 201:
            return
        self._note(decision=answer.body["id"], instance=instance, action=body["action"])
        if self._happens(TWICE):
            self._note_decision(instance, body, self._send(path, body))
        elif self._happens(UNDO):
            self._undo(answer.body["id"])

    def _note_decision(self, instance: int, body: Any, answer: Answer) -> None:
        self._note(sent="decision once more", status=answer.status)
        if answer.status == 201:
            self._note(decision=answer.body["id"], instance=instance, action=body["action"])

    def _judgement(self, card: Any) -> dict[str, Any]:
        (action,) = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        body: dict[str, Any] = {"action": action, "lease": card["lease"]["token"]}
        if action in ("reject", "skip"):
            body["reason"] = "unclear"
        if action == "edit":
            body["edits"] = {"solution": f"{card['instance']['solution']}\n# {self._seed} {self._keys}"}
        return body

    def _undo(self, decision: int) -> None:
        self._note(undoing=decision)  # before it is sent: nobody knows what comes of it when this is killed
        if self._post("undo", f"/decisions/{decision}/undo", {}).status == 200:
            self._note(undone=decision)

    # --- sending --------------------------------------------------------------------------------------

    def _post(self, what: str, path: str, body: Any) -> Answer:
        """Send it, sometimes under a key, sometimes twice. Returns the last answer."""
        key = self._new_key() if self._happens(KEYED) else None
        if self._happens(UNSEEN):
            self._send_and_hang_up(path, body, key)
        answer = self._send_until_free(path, body, key)
        self._note(sent=what, status=answer.status, detail=_detail(answer))
        if key is not None and answer.status < 300 and self._happens(AGAIN):
            again = self._send_until_free(path, body, key)
            self._note(sent=f"{what} again", status=again.status, same=again == answer)
        return answer

    def _send_until_free(self, path: str, body: Any, key: str | None) -> Answer:
        for _ in range(BUSY_TRIES):
            answer = self._send(path, body, key)
            if answer.status != 409 or "Idempotency-Key" not in _detail(answer):
                break
            time.sleep(0.1)
        return answer

    def _send(self, path: str, body: Any, key: str | None = None) -> Answer:
        try:
            self._line.request("POST", f"/api/v1{path}", json.dumps(body), self._headers(key))
            answer = self._line.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._line.close()  # opens again with the next request
            return Answer(599, repr(error))
        with contextlib.suppress(ValueError):
            return Answer(answer.status, json.loads(content))
        return Answer(answer.status, answer.headers.get("X-Reason", content.decode(errors="replace")))

    def _send_and_hang_up(self, path: str, body: Any, key: str | None) -> None:
        """As a browser that is closed in the middle: the server may or may not do what was asked."""
        line = self._connect()
        with contextlib.suppress(OSError):
            line.request("POST", f"/api/v1{path}", json.dumps(body), self._headers(key))
        line.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=PATIENCE_S
        )

    def _headers(self, key: str | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return headers | ({"Idempotency-Key": key} if key else {})

    def _new_key(self) -> str:
        self._keys += 1
        return f"{self._seed} {self._keys}"

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share

    def _note(self, **line: Any) -> None:
        self._journal.write(json.dumps(line) + "\n")


def _detail(answer: Answer) -> str:
    return str(answer.body.get("detail", "")) if isinstance(answer.body, dict) else str(answer.body or "")


if __name__ == "__main__":
    Reader(json.loads(sys.argv[1])).read()
