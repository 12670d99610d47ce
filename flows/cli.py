"""The `lectern` command line: one list of commands; each is a function of `flows.commands`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 needs a look, 4 refused.
"""

import typer

from flows.commands import longform, manuscript, measure
from flows.demo import demo

app = typer.Typer(
    name="lectern",
    help="Turn manuscripts into finished audiobooks, and prove they are fit to publish.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command()(demo)
for command in (manuscript.chapters, manuscript.narrate, measure.evaluate, measure.qa):
    app.command()(command)
app.command("continue")(longform.continue_)
app.add_typer(longform.longform, name="longform")


if __name__ == "__main__":
    app()
