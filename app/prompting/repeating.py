"""Asking once more after a reply that could not be used. Pure."""

from app.prompting.prompt import Prompt


def again(prompt: Prompt, why: str) -> Prompt:
    """`prompt` with what was wrong with the last reply: another request, so that no cache answers it."""
    return prompt._replace(
        user=f"{prompt.user}\n\nYour last reply could not be used: {why}. Reply again, as asked above.",
        repeats=why,
    )
