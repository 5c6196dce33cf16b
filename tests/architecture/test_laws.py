"""The laws that an import contract cannot say; the others stand in pyproject.toml and run in `make check`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = ("ingestion", "selection", "generation", "evidence", "discrimination", "review", "audit", "export")
PURE_ROOMS = ("code", "geometry", "guarantee", "prompting", "rows")
REACHES_THE_WORLD = {"__init__", "pages", "api", "service", "queries"}
THE_WORLD = {
    "app.accounts",
    "app.engine",
    "app.llm",
    "app.queue",
    "app.settings",
    "app.storage",
    "app.web",
    "celery",
    "fastapi",
    "openai",
    "redis",
    "requests",
    "socket",
    "sqlalchemy",
    "starlette",
    "subprocess",
    "tempfile",
    "urllib.request",
}
# request_log is the outermost layer of app.main: whatever comes out there is logged and answered.
ENTRY_POINTS = ("workers", "app/main.py", "app/cli.py", "app/runtime", "app/web/request_log.py")
# The drain is the entry point of a thread: whatever one item's reply or question sets off must cost that item only.
OF_THE_DRAIN = ("app/engine/drain.py", "app/engine/departing.py", "app/engine/landing.py")


def files_below(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def says_what_it_touches(tree: ast.Module) -> bool:
    return "ouches" in (ast.get_docstring(tree) or "")


PURE_FILES = [
    path
    for path in files_below(*(f"app/{room}" for room in (*STAGES, *PURE_ROOMS, "prompts", "runs")))
    if path.stem not in REACHES_THE_WORLD
] + [ROOT / "app/pipeline.py", ROOT / "app/errors.py"]


@pytest.mark.parametrize("path", PURE_FILES, ids=name_of)
def test_a_file_that_does_not_say_what_it_touches_is_pure(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if says_what_it_touches(tree):
        return
    reached = {
        module
        for module in imported(tree)
        if any(module == world or module.startswith(f"{world}.") for world in THE_WORLD)
    }
    opened = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("open", "print")
    }
    assert not reached | opened


def test_only_entry_points_catch_whatever_comes() -> None:
    caught = [
        f"{name_of(path)}:{node.lineno}"
        for path in files_below("app", "workers")
        if not name_of(path).startswith(ENTRY_POINTS + OF_THE_DRAIN)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and not isinstance(node.body[-1], ast.Raise)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
        )
    ]
    assert caught == []


def test_services_and_queries_never_commit() -> None:
    committing = [
        f"{name_of(path)}:{node.lineno}"
        for path in files_below("app")
        if path.name in ("service.py", "queries.py", "handler.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("commit", "rollback")
    ]
    assert committing == []


def test_every_folder_of_the_product_says_what_it_is() -> None:
    silent = [
        name_of(path)
        for path in files_below("app", "workers")
        if path.name == "__init__.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []
