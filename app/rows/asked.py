"""The filters and gates that somebody asks for, checked. Pure."""

from collections.abc import Mapping, Sequence

from app.errors import InvalidInput
from app.pipeline import INSTANCE_LANGUAGES, Task
from app.rows.gates import DEFAULTS, Mode

FILTERS = {"tasks": tuple(task.value for task in Task), "languages": INSTANCE_LANGUAGES}
"""The filters by a fixed list of values, with the values."""


def checked_filters(
    filters: Mapping[str, Sequence[str]], known: Mapping[str, Sequence[str]] = FILTERS
) -> dict[str, list[str]]:
    """Sorted, without empty ones; raises InvalidInput for a name or a value that is not known."""
    checked: dict[str, list[str]] = {}
    for name, values in filters.items():
        if name not in known:
            raise InvalidInput(f"there is no filter {name[:50]!r}, only {', '.join(known)}", "filters")
        if set(values) - set(known[name]):
            raise InvalidInput(f"{name} must be some of {', '.join(known[name])}", "filters")
        if values:
            checked[name] = sorted(set(values))
    return checked


def checked_gates(gates: Mapping[str, str]) -> dict[str, str]:
    """Every gate with its mode, those left out as they are by default."""
    for gate, mode in gates.items():
        if gate not in DEFAULTS or mode not in tuple(Mode):
            raise InvalidInput(f"gates are {', '.join(DEFAULTS)}, each block or admit", "gates")
    return {gate: gates.get(gate, mode.value) for gate, mode in DEFAULTS.items()}
