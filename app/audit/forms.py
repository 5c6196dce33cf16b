"""The form that freezes a lot: what stands in it, and what it asks for. Pure."""

from pydantic import BaseModel, Field

from app.audit.asking import Wanted
from app.errors import InvalidInput
from app.pipeline import Census
from app.rows.gates import DEFAULTS, Mode

_MOST_TICKED = 100


class AuditForm(BaseModel):
    """As typed; shares in percent. Nothing ticked in a filter: all. Empty attempts: as declared before, else 1."""

    max_defect_rate: str = Field(default="2", max_length=20)
    alpha: str = Field(default="5", max_length=20)
    census: str = Field(default=Census.NONE, max_length=20)
    attempts: str = Field(default="", max_length=20)
    double_share: str = Field(default="10", max_length=20)
    runs: str = Field(default="", max_length=2000)  # numbers with commas between
    tasks: list[str] = Field(default=[], max_length=_MOST_TICKED)
    languages: list[str] = Field(default=[], max_length=_MOST_TICKED)
    statuses: list[str] = Field(default=[], max_length=_MOST_TICKED)
    block: list[str] = Field(default=[], max_length=_MOST_TICKED)
    newest: int = 0  # the project's newest audit when the form was shown
    run: str = Field(default="", max_length=20)  # of a link to the empty form


def suggested(run: str, newest: int) -> AuditForm:
    """What stands in it before anybody has typed: 2 % at 5 %, the usual gates, a run's rows or all."""
    blocking = [gate for gate, mode in DEFAULTS.items() if mode is Mode.BLOCK]
    return AuditForm(runs=run, block=blocking, newest=newest)


def asked(form: AuditForm) -> Wanted:
    """What the form asks for. Raises InvalidInput naming the field that is no number."""
    runs = [number.strip() for number in form.runs.split(",") if number.strip()]
    return Wanted(
        max_defect_rate=_share(form.max_defect_rate, "max_defect_rate"),
        alpha=_share(form.alpha, "alpha"),
        filters={
            "tasks": form.tasks,
            "languages": form.languages,
            "statuses": form.statuses,
            "runs": runs,
        },
        gates={gate: Mode.BLOCK if gate in form.block else Mode.ADMIT for gate in DEFAULTS},
        census=form.census,
        attempts=_whole(form.attempts, "attempts") if form.attempts.strip() else None,
        double_share=_share(form.double_share, "double_share"),
    )


def _share(percent: str, field: str) -> float:
    """Rounded so that 2.3 % is 0.023, which a division by 100 misses."""
    try:
        return round(float(percent) / 100, 12)
    except ValueError:
        raise InvalidInput(f"“{percent}” is not a number of percent", field) from None


def _whole(text: str, field: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"“{text}” is not a whole number", field) from None
