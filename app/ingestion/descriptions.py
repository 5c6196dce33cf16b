"""What the rules of the ledgers mean, in words. Pure."""

from app.ingestion.cleaning import DESCRIPTIONS
from app.ingestion.finished import IMPORT_RULES
from app.pipeline import RunKind


def description_of(rule: str, kind: str) -> str:
    """What a rule that refused rows of a run of this kind means, in a sentence."""
    return (IMPORT_RULES if kind == RunKind.IMPORT else DESCRIPTIONS).get(rule, "")
