"""Re-make the calibration: `python -m qa.calibration ../shared/data/speech --out DIR`.

Every case is written down as it is done, and a run goes on where the last one stopped; `--only` takes some
defects, `--again` measures them anew. At the end the tables of `docs/qa.md` are printed.
"""

from pathlib import Path
from typing import Annotated

import typer

from qa.calibration.bench import Bench, Half
from qa.calibration.clean import CLEAN
from qa.calibration.ledger import Ledger
from qa.calibration.tables import tables
from qa.calibration.trials import TRIALS

CASES = 110


def calibrate(
    speech: Annotated[Path, typer.Argument(help="Folder of recordings with manifest.tsv.")],
    out: Annotated[Path, typer.Option(help="Where results and the models' work are kept.")],
    only: Annotated[list[str] | None, typer.Option(help="Defects or clean measures.")] = None,
    half: Annotated[list[Half] | None, typer.Option(help="learn or test; both by default.")] = None,
    cases: Annotated[int, typer.Option(help="Cases a defect.")] = CASES,
    again: Annotated[bool, typer.Option(help="Measure what is chosen anew.")] = False,
) -> None:
    """Measure how well known damage is found in real speech, and how often nothing is found wrong."""
    bench, ledger = Bench(speech, out / "cache"), Ledger(out / "cases.jsonl")
    unknown = set(only or ()) - set(TRIALS) - set(CLEAN)
    if unknown:
        raise typer.BadParameter(f"no such defect: {', '.join(sorted(unknown))}")
    done = set() if again else ledger.keys()
    chosen = only or [*CLEAN, *TRIALS]
    for part in half or list(Half):
        for name in chosen:
            if name in CLEAN:
                _clean(name, bench, ledger, part, done)
            else:
                _damaged(name, bench, ledger, part, cases, done)
    print(tables(list(ledger)))


def _clean(
    name: str, bench: Bench, ledger: Ledger, half: Half, done: set[tuple[str, str, str]]
) -> None:
    measure, alone = CLEAN[name]
    for section in bench.sections(half) + (bench.solos(half) if alone else []):
        if (name, half, section.name) in done:
            continue
        row = measure(bench, half, section)
        if row is not None:
            ledger.add(row)


def _damaged(
    name: str,
    bench: Bench,
    ledger: Ledger,
    half: Half,
    cases: int,
    done: set[tuple[str, str, str]],
) -> None:
    for case in range(cases):
        if (name, half, f"{case:03d}") in done:
            continue
        row = TRIALS[name](bench, half, case)
        if row is not None:
            ledger.add(row)


if __name__ == "__main__":
    typer.run(calibrate)
