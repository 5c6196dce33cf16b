"""Every page there is, made from the application's own routes: what looks at all of them, looks at new ones too."""

from collections.abc import Mapping, Sequence
from string import Formatter

from fastapi.routing import APIRoute

from app.main import PAGES

Ids = Mapping[str, Sequence[object]]
"""For each name in curly brackets in a path the rows to open, such as {"run_id": [1, 2]}. A page whose names belong
together has addresses of its own: {"/of/{this_id}/{that_id}": ["/of/1/7"]}."""

SIGN_IN = "/signin"  # leads those who are signed in away
MISSING = "/nowhere"
VARIANTS = (
    "/instances?q=nothing+is+like+this",
    "/review?q=nothing+is+like+this",
    "/review?edit=1",
    "/review?stream=audit",
    "/review?stream=audit&edit=1",
    "/prompts/judge/generation?version=shipped",
    "/rules?task=repair&version=shipped",
    "/audits/new?max_defect_rate=much&alpha=5",
    MISSING,
)
"""Pages that look different under the same path, and the one that is not there."""


def addresses(ids: Ids) -> list[str]:
    """One address or more of every page for people who are signed in.

    Raises KeyError where the path of a page holds a name that `ids` gives no rows for.
    """
    found: list[str] = []
    for path in sorted(_paths() - {SIGN_IN}):
        if path in ids:
            found += [str(address) for address in ids[path]]
            continue
        names = [name for _, name, _, _ in Formatter().parse(path) if name]
        rows = zip(*(ids[name] for name in names), strict=True) if names else [()]
        found += [path.format(**dict(zip(names, row, strict=True))) for row in rows]
    return [*found, *VARIANTS]


def _paths() -> set[str]:
    routes = [route for pages in PAGES for route in pages.router.routes]
    return {route.path for route in routes if isinstance(route, APIRoute) and "GET" in route.methods}
