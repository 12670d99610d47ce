"""The `lectern` command line: one list of commands; each is a function of `flows.commands`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 needs a look, 4 refused.
"""

from collections.abc import Callable

import typer

from flows.commands import manuscript, measure, operate, voice
from flows.demo import demo

app = typer.Typer(
    name="lectern",
    help="Turn manuscripts into finished audiobooks, and prove they are fit to publish.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

BOOKS: tuple[Callable[..., None], ...] = (
    *(demo, manuscript.chapters, manuscript.narrate),
    *(measure.evaluate, measure.evaluate_voices, measure.qa),
)
OPERATORS: tuple[Callable[..., None], ...] = (
    *(operate.up, operate.down, operate.doctor, operate.backup, operate.restore),
    operate.metrics,
)
for panel, commands in {"Books": BOOKS, "Operators": OPERATORS}.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(voice.app, name="voice", rich_help_panel="Books")


if __name__ == "__main__":
    app()
