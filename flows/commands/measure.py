"""Commands that measure: `lectern evaluate` and `lectern qa`. They parse and print; no logic of their own."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.house_voice import house_cast
from flows.terminal import Exit, Json, console, failed, progress_bar
from generation.errors import LecternError


def evaluate(
    books: Annotated[list[Path], typer.Argument(help="Books of the frozen held-out list.")],
    voice: Annotated[str, typer.Option(help="A house voice.")] = "joe",
    words: Annotated[int, typer.Option(min=1, help="Least number of words to read.")] = 5000,
    seeds: Annotated[int, typer.Option(min=1, help="Number of readings.")] = 3,
    piper: Annotated[Path | None, typer.Option(help="Piper's executable, to compare with.")] = None,
    ablation: Annotated[bool, typer.Option(help="Also swap semantic tokens of two takes.")] = False,
    as_json: Json = False,
) -> None:
    """Measure the narration of held-out text, beside Piper where it is installed."""
    from flows.measure.ablation import ablate
    from flows.measure.evaluate import evaluate as evaluate_cast
    from flows.measure.evaluation_table import markdown
    from flows.measure.heldout import passages
    from qa.errors import QAError

    cast = house_cast(voice)
    try:
        done = evaluate_cast(cast, books, words, range(seeds), piper, console.print)
        swapped = ablate(cast, passages(books, words)[0].chapter) if ablation else None
    except (LecternError, QAError) as error:
        raise failed(error) from error
    if as_json:
        result = {**done.to_json(), "ablation": swapped.to_json() if swapped else None}
        print(json.dumps(result))
        return
    print(markdown(done))
    if swapped:
        print(f"other tokens: {swapped.other_tokens}\nother seed: {swapped.other_seed}")


def evaluate_voices(
    data: Annotated[Path, typer.Argument(help="Folder that holds speech/manifest.tsv.")],
    books: Annotated[list[Path], typer.Argument(help="Books of the frozen held-out list.")],
    corpus: Annotated[str, typer.Option(help="Corpus whose kept-out speakers speak.")] = (
        "librispeech"
    ),
    seed: Annotated[int, typer.Option(help="Another seed gives another reading.")] = 0,
    as_json: Json = False,
) -> None:
    """Measure voices by prompt: how like their speakers they are, on speakers kept out of training."""
    from flows.measure.voices_table import evaluate_voices as evaluate_speakers
    from flows.measure.voices_table import markdown
    from qa.errors import QAError

    try:
        cast = house_cast("kathleen")
        figures = evaluate_speakers(cast, data, books, corpus, seed, console.print)
    except (LecternError, QAError) as error:
        raise failed(error) from error
    print(json.dumps(figures.to_json()) if as_json else markdown(figures))


def evaluate_codec(
    data: Annotated[Path, typer.Argument(help="Folder that holds speech/manifest.tsv.")],
    levels: Annotated[
        int | None, typer.Option(min=1, help="Streams to use; all by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the codec for any voice: what it leaves of recordings kept out of training."""
    from flows.measure.codec_table import evaluate_codec as evaluate_recordings
    from flows.measure.codec_table import markdown, to_json
    from generation.voices import WEIGHTS
    from qa.errors import QAError

    try:
        weights = WEIGHTS / "soundstream.safetensors"
        figures = evaluate_recordings(weights, data, levels, console.print)
    except (LecternError, QAError) as error:
        raise failed(error) from error
    print(json.dumps(to_json(figures)) if as_json else markdown(figures))


def compare(
    weights: Annotated[
        Path, typer.Argument(help="Folder of other weights; what it lacks is what ships.")
    ],
    books: Annotated[list[Path], typer.Argument(help="Books of the frozen held-out list.")],
    out: Annotated[Path, typer.Option(help="Folder of the page and its clips.")],
    voice: Annotated[str, typer.Option(help="The house voice that reads.")] = "joe",
    passages: Annotated[int, typer.Option(min=1, help="Passages to be judged.")] = 8,
    seed: Annotated[int, typer.Option(help="Another seed: other readings, another order.")] = 0,
) -> None:
    """Compare two sets of weights blind: a page that plays both and says afterwards which was which."""
    from flows.measure.blind import spoken_pairs, write_page

    if not any(weights.glob("*.safetensors")):
        console.print(
            f"lectern: {weights} holds no weights (*.safetensors): there is nothing to compare"
        )
        raise typer.Exit(Exit.USAGE)
    ours, theirs = house_cast(voice), house_cast(voice, weights)
    try:
        pairs = spoken_pairs(ours, theirs, books, passages, seed, console.print)
    except LecternError as error:
        raise failed(error) from error
    print(write_page(pairs, ("those that ship", str(weights)), out, seed))


def qa(
    audio: Annotated[
        Path, typer.Argument(help="An audio file, a directory of them, or a release.")
    ],
    text: Annotated[Path | None, typer.Option(help="Its text, or a directory of texts.")] = None,
    prompt: Annotated[
        Path | None, typer.Option(help="A recording of the voice it should be.")
    ] = None,
    spec: Annotated[
        bool, typer.Option(help="Hold the files against a store's figures too.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the report here, as JSON.")] = None,
    moments: Annotated[int, typer.Option(min=0, help="Places to listen to, at most.")] = 12,
    as_json: Json = False,
) -> None:
    """Judge finished audio: exit code 0 it passes, 1 it fails, 3 some of it nobody can say.

    Without a text the words are not judged, which is said and never counts as a pass.
    """
    from rich.console import Console

    from flows.measure.judge import chapter_table, judge_path, moment_table
    from qa.errors import QAError
    from qa.findings import Verdict

    try:
        with progress_bar() as bar:
            task = bar.add_task("listening", total=None)
            report = judge_path(
                audio,
                text,
                prompt,
                spec,
                lambda title, done, total: bar.update(
                    task, description=title or "done", completed=done, total=total
                ),
            )
    except (LecternError, QAError) as error:
        raise failed(error) from error
    if out is not None:
        out.write_text(report.to_json() + "\n", encoding="utf-8")
    if as_json:
        print(report.to_json())
    else:
        shown = Console()
        shown.print(chapter_table(report))
        if moments:
            shown.print(moment_table(report, moments))
        print(f"verdict: {report.verdict.value}; report digest {report.digest}")
    if report.verdict is Verdict.FAIL:
        raise typer.Exit(Exit.FAILED)
    if report.verdict is Verdict.INCONCLUSIVE:
        raise typer.Exit(Exit.NEEDS_REVIEW)
