"""Commands of the night: one shift, and a whole night, as runs of the Prefect flows of the same names."""

import json
from typing import Annotated, Any

import typer

from flows.terminal import Json, console, errors_said


def work(
    for_minutes: Annotated[
        float | None, typer.Option("--for", min=0, help="Minutes; until nothing is left without.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Work a shift: keep this machine's lanes full while there is work, at most so long."""
    told = _run("work", for_minutes)
    if as_json:
        print(json.dumps(told))
        return
    print(
        f"{told['read']} windows read, {told['rendered']} rendered, {told['mastered']} chapters mastered,"
        f" {len(told['finished'])} productions await review"
    )
    for trouble in told["troubles"]:
        console.print(f"lectern: {trouble}", markup=False)


def nightly(
    until: Annotated[
        str | None, typer.Option(help="When the night closes: HH:MM; as set, without.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Work a night: admit by priority and due date, and make what fits until it closes."""
    told = _run("nightly", until)
    if as_json:
        print(json.dumps(told))
        return
    for production_id, title in told["admitted"].items():
        print(f"admitted {production_id}  {title}")
    print(f"{len(told['shift']['finished'])} productions await review")


def reconcile(as_json: Json = False) -> None:
    """Find what was begun and forgotten, take it up again, and remove what may go."""
    told = _run("reconcile")
    print(json.dumps(told) if as_json else "\n".join(f"{k}: {v}" for k, v in told.items()))


def _run(name: str, *arguments: Any) -> Any:
    """Run a flow in this process, with its run shown by the Prefect server."""
    from flows.operate.prefect_server import hold_prefect
    from flows.settings import Settings

    with errors_said(), hold_prefect(Settings()):
        from flows.factory import prefect_flows

        return getattr(prefect_flows, name)(*arguments)
