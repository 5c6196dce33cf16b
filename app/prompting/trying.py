"""Looking at a prompt on real material, and what a try of it brought. Pure."""

from typing import NamedTuple

from app.prompting.prompt import Prompt

BYTES_A_TOKEN = 3.5  # about, of prompts with code in them
MOST_TRIES = 3  # a question, and two more after replies that could not be used
_COMPLAINT_BYTES = 1_000  # what such a question grows by, at most


class Subject(NamedTuple):
    """A pick or an instance that a prompt can be looked at on."""

    subject_id: int
    words: str


class Preview(NamedTuple):
    """A prompt as it would be sent. `reply_tokens`: about what an answer takes."""

    subject: Subject
    prompt: Prompt
    reply_tokens: int

    @property
    def prompt_tokens(self) -> int:
        return round(prompt_bytes(self.prompt) / BYTES_A_TOKEN)


class Piece(NamedTuple):
    """A part of what a reply says; `language` where it is code."""

    label: str
    text: str
    language: str | None = None


class Reading(NamedTuple):
    """What one reply of a try says, or why it says nothing."""

    pieces: tuple[Piece, ...] = ()
    problem: str | None = None


def prompt_bytes(prompt: Prompt) -> int:
    return len(prompt.system.encode()) + len(prompt.user.encode())


def longest_again(prompt: Prompt) -> Prompt:
    """As large as `prompt` can become when it is asked again."""
    return prompt._replace(user=prompt.user + " " * _COMPLAINT_BYTES)
