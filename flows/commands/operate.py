"""Commands of operators: `lectern up`, `down`, `doctor`, `backup`, `restore` and `metrics`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.terminal import Exit, Json, console, errors_said

if TYPE_CHECKING:
    from storage.backup import Backup


def up(as_json: Json = False) -> None:
    """Start all that the home runs (PostgreSQL, Prefect, its deployments), and keep it until `down`."""
    from flows.operate.up import up as start
    from flows.settings import Settings

    with errors_said(), console.status("starting"):
        done = start(Settings())
    if as_json:
        print(json.dumps(asdict(done)))
        return
    print(f"ready after {done.ready_s:.1f} s")
    for name, value in (("database", done.database), ("store", done.store)):
        print(f"{name:12}{value}")
    print(f"{'prefect':12}{done.prefect.removesuffix('/api')}")
    print(f"{'deployments':12}{', '.join(done.deployments) or 'none here'}")


def down(as_json: Json = False) -> None:
    """Stop all that the home runs, whoever started or uses it; what was committed stays."""
    from flows.operate.up import down as stop
    from flows.settings import Settings

    with errors_said():
        troubles = stop(Settings())
    if as_json:
        print(json.dumps({"stopped": not troubles, "troubles": troubles}))
    for trouble in troubles:
        console.print(f"lectern: {trouble}", markup=False, highlight=False, soft_wrap=True)
    if troubles:
        raise typer.Exit(Exit.FAILED)


def doctor(as_json: Json = False) -> None:
    """Say what is missing or broken, and its cure; exit code 1 where something is."""
    from flows.operate.doctor import Verdict, examine, worst
    from flows.settings import Settings

    with errors_said(), console.status("examining"):
        checks = list(examine(Settings()))
    if as_json:
        print(json.dumps({"verdict": worst(checks), "checks": [asdict(one) for one in checks]}))
    else:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        colours = {Verdict.FINE: "green", Verdict.LOOK: "yellow", Verdict.FAULT: "red"}
        for one in checks:
            table.add_row(
                f"[{colours[one.verdict]}]{one.verdict}[/]", one.name, _plain(one.found, one.cure)
            )
        Console().print(table)
    if worst(checks) is Verdict.FAULT:
        raise typer.Exit(Exit.FAILED)


def backup(
    folder: Annotated[Path, typer.Argument(help="An empty folder, made if missing.")],
    as_json: Json = False,
) -> None:
    """Copy the whole state (databases, objects, settings without secrets) while work goes on."""
    from flows.operate.rescue import backup as copy
    from flows.settings import Settings

    with errors_said(), console.status("copying"):
        made = copy(Settings(), folder)
    _say_backup("backed up", made, as_json)


def restore(
    folder: Annotated[Path, typer.Argument(help="What `lectern backup` made.")],
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty home, after checking every digest of it."""
    from flows.operate.rescue import restore as bring_back
    from flows.settings import Settings

    with errors_said(), console.status("restoring"):
        made = bring_back(Settings(), folder)
    _say_backup("restored", made, as_json)


def metrics(
    port: Annotated[int | None, typer.Option(help="Serve them here until ended.")] = None,
    host: Annotated[str, typer.Option(help="Address to serve them on.")] = "127.0.0.1",
    as_json: Json = False,
) -> None:
    """Print Prometheus metrics of the factory, or serve them at /metrics."""
    from prometheus_client.parser import text_string_to_metric_families as parsed

    from flows.operate.metrics import exposition, serve_factory
    from flows.services import services
    from flows.settings import Settings

    with errors_said(), services(Settings()) as opened:
        if port is not None:
            console.print(f"serving http://{host}:{port}/metrics", highlight=False)
            serve_factory(opened.engine, opened.settings, host, port)
            return
        text = exposition(opened.engine, opened.settings)
    if as_json:
        samples = [sample for family in parsed(text) for sample in family.samples]
        print(json.dumps([[one.name, one.labels, one.value] for one in samples]))
    else:
        print(text, end="")


def _say_backup(what: str, made: "Backup", as_json: bool) -> None:
    facts = {
        "folder": str(made.folder),
        "taken_at": made.taken_at.isoformat(),
        "databases": sorted(made.databases),
        "objects": len(made.objects),
        "size_bytes": made.size_bytes,
    }
    if as_json:
        print(json.dumps(facts))
        return
    print(
        f"{what}: {len(made.objects)} objects and {' and '.join(sorted(made.databases))},"
        f" {made.size_bytes / 1e6:.1f} MB, as of {made.taken_at:%Y-%m-%d %H:%M:%S %Z}"
    )


def _plain(found: str, cure: str) -> str:
    return escape(found) + (f"\n[bold]{escape(cure)}[/]" if cure else "")
