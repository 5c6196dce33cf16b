"""Rendering: one environment, escaped by default, and the few things every page shows."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.web import formats
from app.web.assets import asset_url
from app.web.flash import FLASH_COOKIE, flash_of
from app.web.hidden_characters import mark_hidden
from app.web.highlighting import code_html
from app.web.long_text import folded
from app.web.navigation import nav_entries

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
THEME_COOKIE = "breakwater_theme"
THEMES = ("light", "dark", "system")


FILTERS: dict[str, Any] = {
    "ago": formats.ago,
    "exact": formats.exact_time,
    "count": formats.count,
    "usd": formats.usd,
    "percent": formats.percent,
    "size": formats.size,
    "duration": formats.duration,
    "words": formats.words,
    "web_address": formats.web_address,
    "code_spans": formats.code_spans,
    "folded": folded,
    "pretty_json": formats.pretty_json,
}
FUNCTIONS: dict[str, Any] = {"asset": asset_url, "code_html": code_html}


@lru_cache
def environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # looking whether one of them has changed takes a twelfth of a card's time
    )
    found.filters.update(FILTERS)
    found.globals.update(FUNCTIONS)
    return found


def is_htmx(request: Request) -> bool:
    """Asked by htmx for a fragment (going back in the history asks for the whole page)."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Render a page, or a fragment when the template's name starts with `_`.

    Adds person, project, role, projects, csrf_token, nav, theme, flash and htmx. A status of 400 and above
    marks the request as refused: what its session changed is rolled back.
    """
    state = request.state
    if status >= 400:
        state.refused = True
    sign_in = getattr(state, "sign_in", None)
    project = getattr(state, "project", None)
    message = flash_of(request)
    shared = {
        "request": request,
        "path": request.url.path,
        "htmx": is_htmx(request),
        "person": getattr(state, "person", None),
        "project": project,
        "role": getattr(state, "role", None),
        "projects": getattr(state, "projects", []),
        "csrf_token": sign_in.csrf_token if sign_in is not None else None,
        "nav": nav_entries(request.url.path),
        "theme": theme_of(request),
        "flash": message,
    }
    html = environment().get_template(template).render(shared | context)
    response = HTMLResponse(mark_hidden(html), status, {"Vary": "HX-Request", "Cache-Control": "no-store"})
    if message is not None and not template.rpartition("/")[2].startswith("_"):
        response.delete_cookie(FLASH_COOKIE)
    return response


def theme_of(request: Request) -> str:
    theme = request.cookies.get(THEME_COOKIE, "system")
    return theme if theme in THEMES else "system"
