"""The `lectern` command line: one list of commands; each is a function of `flows.commands`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 needs a look, 4 refused.
"""

from collections.abc import Callable

import typer

from flows.commands import manuscript, measure, night, operate, production, review, voice
from flows.commands.bench import bench
from flows.demo import demo

app = typer.Typer(
    name="lectern",
    help="Turn manuscripts into finished audiobooks, and prove they are fit to publish.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command()(demo)
COMMANDS: tuple[Callable[..., None], ...] = (
    *(manuscript.chapters, manuscript.narrate),
    *(measure.evaluate, measure.evaluate_voices, measure.qa),
    *(production.submit, production.status, production.cancel, production.retry),
    *(production.approve, production.reject, production.redo),
    *(night.work, night.nightly, night.reconcile),
)
OPERATORS: tuple[Callable[..., None], ...] = (
    *(operate.up, operate.down, operate.doctor, operate.backup, operate.restore),
    operate.metrics,
)

app.add_typer(voice.app, name="voice")
app.add_typer(bench, name="bench")
for command in COMMANDS:
    app.command()(command)
for command in OPERATORS:
    app.command(rich_help_panel="Operators")(command)
app.command()(review.review)
app.add_typer(review.account, name="account")


if __name__ == "__main__":
    app()
