"""The tabs at the top of every page, in pipeline order."""

from typing import NamedTuple


class NavEntry(NamedTuple):
    label: str
    address: str
    current: bool


TABS = (
    ("Overview", "/"),
    ("Sources", "/sources"),
    ("Selections", "/selections"),
    ("Runs", "/runs"),
    ("Review", "/review"),
    ("Instances", "/instances"),
    ("Quality", "/quality"),
    ("Releases", "/releases"),
    ("Prompts", "/prompts"),
    ("Rules", "/rules"),
    ("Settings", "/settings"),
)


# pages that stand beside a tab's own
BELOW = {"/adjudication": "/quality", "/audits": "/quality", "/imports": "/sources", "/examples": "/prompts"}


def nav_entries(path: str) -> list[NavEntry]:
    """Every tab, the one that `path` lies below marked."""
    path = next((path.replace(page, tab, 1) for page, tab in BELOW.items() if path.startswith(page)), path)
    return [
        NavEntry(label, address, path == address or (address != "/" and path.startswith(address + "/")))
        for label, address in TABS
    ]
