"""The `lectern` command line: one list of commands; each is a function of `flows.commands`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 needs a look, 4 refused.
"""

import warnings
from collections.abc import Callable

import typer

from flows.commands import (
    longform,
    manuscript,
    measure,
    night,
    operate,
    production,
    publish,
    review,
    voice,
)
from flows.commands.bench import bench
from flows.demo import demo

# What these two say when imported (an old setuptools call, a decoder nobody uses) helps no user.
warnings.filterwarnings("ignore", module=r"pyworld|pyannote\.audio\.core\.io")

app = typer.Typer(
    name="lectern",
    help="Turn manuscripts into finished audiobooks, and prove they are fit to publish.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

BOOKS: tuple[Callable[..., None], ...] = (
    *(demo, manuscript.chapters, manuscript.narrate),
    *(measure.evaluate, measure.evaluate_voices, measure.evaluate_codec),
    *(measure.compare, measure.qa),
)
PRODUCTIONS: tuple[Callable[..., None], ...] = (
    *(production.submit, production.status, production.cancel, production.retry),
    *(production.approve, production.reject, production.redo),
    *(night.work, night.nightly, night.reconcile),
)
RELEASES: tuple[Callable[..., None], ...] = (
    *(publish.publish, publish.verify, publish.watermark, publish.links),
    *(publish.withdraw, publish.supersede, publish.releases),
)
OPERATORS: tuple[Callable[..., None], ...] = (
    *(operate.up, operate.down, operate.doctor, operate.backup, operate.restore),
    operate.metrics,
)
PANELS = {
    "Books": BOOKS,
    "Productions": PRODUCTIONS,
    "Releases": RELEASES,
    "Operators": OPERATORS,
}
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.command(rich_help_panel="Productions")(review.review)
app.add_typer(review.account, name="account")
app.add_typer(voice.app, name="voice")
app.command("continue", rich_help_panel="Science")(longform.continue_)
app.add_typer(longform.longform, name="longform", rich_help_panel="Science")
app.add_typer(bench, name="bench")


if __name__ == "__main__":
    app()
