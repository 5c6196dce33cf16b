"""`breakwater ...`: one thin command per use case. Results go to stdout, logs and progress to stderr."""

import json
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError
from redis.exceptions import RedisError
from sqlalchemy import select as sql_select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from app.errors import DomainError, InvalidInput, NotFound
from app.pipeline import OFFLINE, Role, RunState, Scope, Task
from app.runs.service import SeenRun, shape_of
from app.runtime.follow import follow
from app.runtime.instance import running_instance
from app.runtime.logs import configure_logging
from app.settings import settings
from app.storage.database import COMMAND, session_factory
from app.storage.faults import server_fault
from app.storage.tables import Project, Run

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
user = typer.Typer(no_args_is_help=True, help="The people who sign in.")
token = typer.Typer(no_args_is_help=True, help="Tokens for scripts.")
cli.add_typer(user, name="user")
cli.add_typer(token, name="token")

_MOST_MEMORY_TO_VERIFY = 4 * 1024**3  # bytes: a release that anybody wrote may ask for more

ProjectSlug = Annotated[str, typer.Argument(metavar="PROJECT", help="the project's slug")]
AsJson = Annotated[bool, typer.Option("--json", help="print one machine-readable result")]


def main() -> None:
    """Run a command: exit status 0 done, 1 failed with a clear message, 2 wrong usage."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # names of files are bytes, whatever a terminal takes
    try:
        configure_logging(settings().log_format)
        cli()
    except ValidationError as error:
        _fail("; ".join(map(_wrong_setting, error.errors())))
    except SettingsError as error:
        _fail(f"the settings cannot be read: {error}")
    except (DomainError, OSError) as error:
        _fail(str(error))
    except UnicodeEncodeError as error:
        _fail(f"{on_one_line(str(error.object)[:200])} is not UTF-8")
    except (SQLAlchemyError, RedisError) as error:
        fault = server_fault(error)
        if fault is None:
            raise
        cause = error.orig if isinstance(error, DBAPIError) else error
        _fail(f"{fault.says} ({' '.join(str(cause).split())})")


def _wrong_setting(error: ErrorDetails) -> str:
    """`PORT: Input should be less than or equal to 65535, and it is 99999`; what was given may be a secret."""
    name = ".".join(map(str, error["loc"])).upper()
    message = error["msg"].removeprefix("Value error, ")
    if not name:
        return message
    is_secret = name.endswith(("_KEY", "_URL"))
    return (
        f"{name}: {message}" if is_secret else f"{name}: {message}, and it is {str(error['input'])[:100]!r}"
    )


def on_one_line(text: str) -> str:
    """What a file says, without signs that would move or recolour the terminal."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:10_000])


def _fail(message: str) -> None:
    print(f"breakwater: {message.strip()}", file=sys.stderr)
    sys.exit(1)


# --- the instance -----------------------------------------------------------------------------------------


@cli.command()
def up(
    *, demo: Annotated[bool, typer.Option("--demo/--no-demo", help="load the demo project")] = True
) -> None:
    """Serve in the foreground: database, Redis, web, workers and their clock. Ctrl-C stops everything."""
    from app.runtime import supervisor

    supervisor.up(settings(), with_demo=demo)


@cli.command()
def migrate() -> None:
    """Bring the database to the tables of this version."""
    with running_instance():  # starting does it, but an instance that runs may be of an older version
        from app.runtime.instance import bring_up_to_date

        bring_up_to_date(settings().database_url or "")
    print("the database has the tables of this version")


@cli.command()
def doctor() -> None:
    """Print what is in force and whether it works; exit status 1 when something has to be done."""
    from app.runtime.doctor import examine, settings_in_force

    print("Settings")
    for one in settings_in_force(settings()):
        print(f"  {one.name:<22} {one.says}")
    print("State")
    examined = examine(settings())
    for one in examined:
        print(f"{'  ' if one.well else '! '}{one.name:<22} {one.says}")
    if not all(one.well for one in examined):
        raise typer.Exit(1)


@cli.command()
def version() -> None:
    """Print the version."""
    print(f"breakwater {installed_version('breakwater')}")


@cli.command()
def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", help="one of benchmarks/")],
    *,
    full: Annotated[bool, typer.Option("--full", help="the sizes the issues name")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="measure on this, where a benchmark takes a file",
            exists=True,
            dir_okay=False,
            resolve_path=True,
        ),
    ] = None,
) -> None:
    """Measure what we claim, beside its baseline. The last line is one JSON object."""
    root = Path(__file__).parents[1]
    names = sorted(path.stem for path in root.glob("benchmarks/[!_]*.py"))
    if not names:
        raise NotFound(f"benchmarks come with the source code, and {root} has none")
    if name not in names:
        raise typer.BadParameter(f"{name} is none of {', '.join(names)}", param_hint="NAME")
    os.chdir(root)  # they are no part of the installed product
    options = [*["--full"] * full, *(["--data", str(data)] if data else [])]
    os.execv(sys.executable, [sys.executable, "-m", f"benchmarks.{name}", *options])


@cli.command()
def exhibits(
    *,
    package: Annotated[
        list[str] | None, typer.Option(help="an installed package, beside the standard library; repeatable")
    ] = None,
    count: Annotated[int, typer.Option(min=0, max=100, help="exhibits of each task")] = 10,
    seed: Annotated[int, typer.Option(help="draws the exhibits and their bugs")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="functions at most")] = None,
) -> None:
    """Show what the offline teacher and judge make of installed Python code: shares, and exhibits to read.

    Nothing is stored. It is other people's code: look before you pass it on.
    """
    from app.runtime.exhibits import PACKAGES, collect, folders, in_words

    for line in in_words(collect(folders(package or PACKAGES), count, seed, limit)):
        print(line)


@cli.command(hidden=True)
def demo() -> None:
    """Load the demo project; `up` does this in the background."""
    from app.runtime.demo import load_demo

    load_demo(session_factory(COMMAND))


# --- people and tokens ------------------------------------------------------------------------------------


@user.command("add")
def add_user(
    name: str,
    role: Annotated[Role, typer.Option(help="what the person may do")],
    project: Annotated[str | None, typer.Option(metavar="SLUG", help="only in this project")] = None,
    *,
    password_stdin: Annotated[bool, typer.Option(help="read the password from standard input")] = False,
) -> None:
    """Add a person; without a password a one-time one is made and printed."""
    from app.accounts.service import add_person

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    with running_instance(), session_factory(COMMAND).begin() as session:
        project_id = _project(session, project).id if project else None
        added = add_person(session, None, name, role, project_id=project_id, password=password)
        print(f"added {added.person.name}")
        if added.one_time is not None:
            print(f"one-time password: {added.one_time}")


@token.command("create")
def create_token(
    user: Annotated[str, typer.Option(metavar="NAME", help="the person it acts as")],
    scope: Annotated[Scope, typer.Option(help="what it may do")],
    name: Annotated[str, typer.Option(help="to tell it from others")] = "command line",
) -> None:
    """Make a token and print it, once, alone on the last line."""
    from app.accounts.service import person_named
    from app.accounts.tokens import create_token as create

    with running_instance(), session_factory(COMMAND).begin() as session:
        person = person_named(session, user)
        if person is None:
            raise NotFound(f"there is nobody called {user}")
        secret = create(session, None, person, name, scope)
    print(secret)


# --- the stages -------------------------------------------------------------------------------------------


@cli.command()
def ingest(
    project: ProjectSlug,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", exists=True)],
    format: Annotated[str, typer.Option(help="codesearchnet, parquet, checkout or auto")] = "auto",
    license: Annotated[str | None, typer.Option(metavar="SPDX", help="for rows that name none")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Read raw code into a project, which is made when there is none."""
    from app.ingestion.service import start_ingest

    def start(path: Path) -> Callable[[Session], Run]:
        return lambda session: start_ingest(
            session, _project_or_new(session, project), path.resolve(), format, license, None
        )

    _work([start(path) for path in paths], as_json=as_json)


@cli.command("import")
def import_set(
    project: ProjectSlug,
    path: Annotated[Path, typer.Argument(metavar="PATH", exists=True)],
    format: Annotated[str, typer.Option(help="codeocean, alpaca, argilla or auto")] = "auto",
    license: Annotated[str | None, typer.Option(metavar="SPDX", help="for rows that name none")] = None,
    task: Annotated[
        Task | None, typer.Option(help="of rows that name none; default: generation", show_default=False)
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="of rows that name none; default: recognised from the text")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Bring a finished instruction set into a project, which is made when there is none."""
    from app.ingestion.importing import Asked, start_import

    asked = Asked(format, license, task, language)

    def start(session: Session) -> Run:
        return start_import(session, _project_or_new(session, project), path.resolve(), asked, None)

    _work([start], as_json=as_json)


@cli.command()
def select(
    project: ProjectSlug,
    k: Annotated[int, typer.Option("--k", min=1, help="how many snippets to pick")],
    seed: Annotated[int, typer.Option(min=0, help="fixes the answer")] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Pick the k snippets that cover the others best."""
    from app.selection.service import Wanted, start_selection

    _work(
        [lambda session: start_selection(session, _project(session, project), Wanted(k=k, seed=seed), None)],
        as_json=as_json,
    )


@cli.command()
def generate(
    project: ProjectSlug,
    tasks: Annotated[
        str | None, typer.Option(help="names with commas between; default: all that can be made")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="over all tasks; default: one per pick and task")
    ] = None,
    budget: Annotated[float | None, typer.Option(metavar="USD", help="pause before this is exceeded")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make instances of the newest selection and judge them."""
    from app.generation import offline
    from app.generation.plan import Wanted
    from app.generation.queries import newest_completed_selection
    from app.generation.service import start_generation

    def start(session: Session) -> Run:
        there = _project(session, project)
        possible = offline.TASKS if settings().generator_model == OFFLINE else tuple(Task)
        asked = [task.strip() for task in tasks.split(",")] if tasks else possible
        selection = newest_completed_selection(session, there.id)
        one_each = len(asked) * (selection.k if selection else 1)
        shares = dict.fromkeys(map(str, asked), 1.0)
        return start_generation(session, there, Wanted(shares, count or one_each, budget_usd=budget), None)

    _work([start], as_json=as_json)


@cli.command()
def audit(
    project: ProjectSlug,
    max_defect_rate: Annotated[
        float, typer.Option(metavar="P", help="share of defects to claim at most, such as 0.02")
    ],
    alpha: Annotated[
        float, typer.Option(metavar="A", help="chance that a set with more passes, such as 0.05")
    ],
    census: Annotated[str, typer.Option(help="of suspicious rows: none, read or drop")] = "none",
    attempts: Annotated[
        int | None, typer.Option(help="declared before the first draw; each gets a part of alpha")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Freeze everything that has text as a lot, and draw the order in which people read it."""
    from app.audit.asking import Wanted
    from app.audit.seeing import expected, shape_of
    from app.audit.service import freeze_lot
    from app.runtime.home import Home

    wanted = Wanted(max_defect_rate, alpha, census=census, attempts=attempts)
    with running_instance(), session_factory(COMMAND).begin() as session:
        there = _project(session, project)
        frozen = freeze_lot(session, there, wanted, None)
        shape = shape_of(session, there, frozen).model_dump(mode="json")
        draws = expected(frozen)
        serving = Home(settings().home).running()
        server = serving.url if serving else ""
    address = f"{server}/review?stream=audit&audit={frozen.id}"
    if as_json:
        print(json.dumps(shape | {"expected_draws": draws, "address": address}))
        return
    suspicious = f", and {frozen.census_rows:,} suspicious ones read in full" if frozen.census_rows else ""
    print(f"audit {frozen.id}: {frozen.rows:,} rows to draw from{suspicious}")
    print(
        f"draws until it passes, on average: {draws['clean']:.0f} without a defect,"
        f" {draws['quarter']:.0f} with a quarter of what is tolerated"
    )
    print(f"read at {address}" + ("" if server else " once `breakwater up` serves"))


@cli.command()
def reparse(
    project: ProjectSlug,
    run: Annotated[int, typer.Argument(metavar="RUN", min=1, help="the number of an ended generation")],
    *,
    apply: Annotated[bool, typer.Option("--apply", help="do it; else only say what would change")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the stored replies of a run again, by the parsers of this version. Asks no model."""
    from app.runs import service
    from app.runtime.rereaders import REREADERS

    counts: Counter[str] = Counter()
    with running_instance(with_workers=apply) as watched:
        after: int | None = 0
        while after is not None:
            with session_factory(COMMAND).begin() as session:
                there = _project(session, project)
                found = (
                    service.reparse(session, there.id, run, REREADERS, after, None)[0]
                    if apply
                    else service.look_again(session, there.id, run, REREADERS, after)
                )
            counts.update(found.counts)
            after = found.following
        ended = follow(session_factory(COMMAND), run, watched) if apply else None
    if as_json:
        shown = shape_of(*ended).model_dump(mode="json") if ended else None
        print(json.dumps(dict(counts) | {"run": shown}))
        return
    print(", ".join(f"{rows} {came.replace('_', ' ')}" for came, rows in counts.items() if rows) or "nothing")
    if ended is not None:
        _print_run(ended)


@cli.command()
def release(
    project: ProjectSlug,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    basis: Annotated[str, typer.Option(help="people or audited")] = "people",
    audit: Annotated[
        int | None, typer.Option(metavar="ID", help="of the basis audited; default the newest certified one")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Cut an immutable release of what people accepted, or of a lot that an audit certified."""
    from app.export.asking import Wanted
    from app.export.service import start_release

    wanted = Wanted(name, basis, audit_id=audit)
    _work([lambda session: start_release(session, _project(session, project), wanted, None)], as_json=as_json)


@cli.command()
def export(
    project: ProjectSlug,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="its name, or latest")],
    format: Annotated[str, typer.Option(help="codeocean, alpaca, messages, sharegpt or parquet")],
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="a file; a folder where there are several splits")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Write a release's rows in one format."""
    from app.export import queries
    from app.export.formats import FORMATS, file_name
    from app.export.service import file_of, manifest_of

    if format not in FORMATS:
        raise typer.BadParameter(f"{format} is none of {', '.join(FORMATS)}", param_hint="--format")
    with running_instance(), session_factory(COMMAND).begin() as session:
        there = _project(session, project)
        name = queries.latest_release(session, there.id).name if release == "latest" else release
        splits: dict[str, int] = manifest_of(session, there, name)["splits"]
        in_folder = out.is_dir() or len(splits) > 1
        written: list[dict[str, object]] = []
        for split, rows in splits.items():
            kept = file_of(session, there, name, file_name(format, split))
            target = out / kept.name if in_folder else out
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept, target)
            written.append(
                {"path": str(target), "split": split, "rows": rows, "bytes": target.stat().st_size}
            )
    if as_json:
        print(json.dumps({"release": name, "format": format, "files": written}))
    else:
        for one in written:
            print(f"{one['path']}: {one['rows']} rows")


@cli.command()
def verify(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="of a release, wherever it lies"),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Recompute a release's hashes and certificate from the files alone; exit status 1 names each problem."""
    from app.export.report import paragraph, record
    from app.export.verify import verify as check
    from app.forked import memory_limited

    with memory_limited(_MOST_MEMORY_TO_VERIFY):
        verified = check(folder)
    if as_json:
        print(json.dumps(record(verified)))
    else:
        print(on_one_line(paragraph(verified)))
        for problem in verified.problems:
            print(f"* {on_one_line(problem)}")
    if verified.problems:
        raise typer.Exit(1)


def _work(starts: Sequence[Callable[[Session], Run]], *, as_json: bool) -> None:
    """Start one run after the other and follow each to its end; stops at one that does not complete."""
    ended: list[SeenRun] = []
    with running_instance(with_workers=True) as watched:
        for start in starts:
            with session_factory(COMMAND).begin() as session:
                run_id = start(session).id
            ended.append(follow(session_factory(COMMAND), run_id, watched))
            if ended[-1].run.state != RunState.COMPLETED:
                break
    if as_json:
        shapes = [shape_of(*one).model_dump(mode="json") for one in ended]
        print(json.dumps(shapes[0] if len(starts) == 1 else {"runs": shapes}))
    else:
        for one in ended:
            _print_run(one)
    if ended[-1].run.state != RunState.COMPLETED:
        raise typer.Exit(1)


def _print_run(ended: SeenRun) -> None:
    counts = ", ".join(f"{rows} {code}" for code, rows in sorted(ended.progress.done.items()))
    print(f"{ended.run.kind} run {ended.run.id} {ended.run.state}: {counts or 'nothing'}")
    if ended.run.reason:
        print(ended.run.reason)


def _project(session: Session, slug: str) -> Project:
    found = session.scalars(sql_select(Project).where(Project.slug == slug)).one_or_none()
    if found is None:
        raise NotFound(f"there is no project {slug}")
    return found


def _project_or_new(session: Session, slug: str) -> Project:
    from app.console.service import create_project

    try:
        return _project(session, slug)
    except NotFound:
        made = create_project(session, None, slug)
        if made.slug != slug:
            raise InvalidInput(f"“{slug}” is not a slug; try {made.slug}", "project") from None
        return made


if __name__ == "__main__":
    main()
