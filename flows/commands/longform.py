"""Speech without text: `lectern continue` and `lectern longform`, the harness around it. Parsing only."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.house_voice import house_cast
from flows.terminal import Exit, Json, console, errors_said, failed, progress_bar
from generation.errors import LecternError

if TYPE_CHECKING:
    from flows.measure.longform import Speaker
    from generation.rendering import Renderer
    from generation.voices import Cast
    from qa.audio import Audio

longform = typer.Typer(help="Measure speech continued for long.", no_args_is_help=True)


def continue_(
    prompt: Annotated[Path, typer.Argument(help="The recording to be continued.")],
    out: Annotated[Path, typer.Option(help="FLAC file to write.")],
    minutes: Annotated[float, typer.Option(min=0.05, help="Length of the continuation.")] = 16.0,
    voice: Annotated[
        str,
        typer.Option(
            help="Who speaks: a house or enrolled voice. With a consent it is whoever speaks in the prompt.",
            show_default="joe",
        ),
    ] = "",
    consent: Annotated[
        Path | None,
        typer.Option(help="The speaker's signed consent to the use of the voice (TOML)."),
    ] = None,
    own_voice: Annotated[
        str | None, typer.Option(help="Your name, if the recording is of your own voice.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another continuation.")] = 0,
    as_json: Json = False,
) -> None:
    """Continue a recording without any text, for as long as is wanted, in constant memory."""
    from flows.measure.longform import continue_recording

    _writable_flac(out)
    speaks = voice or (str(prompt) if consent or own_voice else "joe")
    with errors_said(), progress_bar() as bar:
        speaker = _speaker(_cast(speaks, consent, own_voice))
        task = bar.add_task("continuing", total=60 * minutes)
        done = continue_recording(
            prompt,
            speaker,
            minutes,
            out,
            seed,
            lambda p: bar.update(task, total=p.wanted_s, completed=p.made_s),
        )
    if as_json:
        print(json.dumps({"out": str(done.path), "duration_s": done.duration_s,
                          "tokens": len(done.tokens)}))  # fmt: skip
    else:
        print(f"{done.path}: {done.duration_s / 60:.1f} minutes")


def _writable_flac(out: Path) -> None:
    if out.suffix.lower() != ".flac":
        console.print(f"lectern: {out}: continuations are written as FLAC; name a .flac file")
        raise typer.Exit(Exit.USAGE)


def _voice_prompt(renderer: "Renderer") -> "Audio":
    from generation.rates import SAMPLE_RATE_HZ
    from qa.audio import Audio

    return Audio(renderer.codec.decode(renderer.prompt.codes, 0), SAMPLE_RATE_HZ)


def _cast(name: str, consent: Path | None, own_voice: str | None) -> "Cast":
    """Load the voice that a name means; a recording is enrolled on the way, as `lectern narrate` does."""
    from generation.voices import house_voices, load_cast

    if name in house_voices():
        return house_cast(name)
    from flows.factory.studio import default_device
    from flows.factory.voices import resolve_voice
    from flows.services import services
    from flows.settings import Settings

    with services(Settings()) as opened:
        found = resolve_voice(opened, name, consent, own_voice, actor="lectern continue")
    return load_cast(found.voice, default_device())


def _speaker(cast: "Cast") -> "Speaker":
    from flows.measure.longform import Speaker
    from generation.longform.model import load_textless
    from generation.tokenizer.model import load_tokenizer
    from generation.voices import WEIGHTS

    return Speaker(
        load_textless()[0].to(cast.renderer.device),
        cast.renderer,
        load_tokenizer(WEIGHTS / "tokenizer.safetensors"),
    )


@longform.command()
def layout(
    librispeech: Annotated[Path, typer.Argument(help="A copy of LibriSpeech (holds dev-clean …).")],
    out: Annotated[Path, typer.Option(help="Folder of the long examples.")],
    boundaries: Annotated[
        Path | None, typer.Option(help="Which utterances make which example (TSV).")
    ] = None,
    longest: Annotated[float, typer.Option(help="Without a table: longest example, s.")] = 240.0,
    as_json: Json = False,
) -> None:
    """Put LibriSpeech's utterances together into LibriSpeech-Long's layout."""
    from flows.measure.longform_layout import (
        build_layout,
        packed_boundaries,
        read_boundaries,
        write_boundaries,
    )

    try:
        table = (
            read_boundaries(boundaries) if boundaries else packed_boundaries(librispeech, longest)
        )
        paths = build_layout(librispeech, table, out)
    except LecternError as error:
        raise failed(error) from error
    write_boundaries(out / "boundaries.tsv", table)
    print(
        json.dumps([str(path) for path in paths]) if as_json else f"{len(paths)} examples in {out}"
    )


@longform.command()
def run(
    examples: Annotated[Path, typer.Argument(help="Examples in LibriSpeech-Long's layout.")],
    out: Annotated[Path, typer.Option(help="Folder of recordings, scores, tables and plots.")],
    continuations: Annotated[int, typer.Option(min=1, help="How many examples to continue.")] = 1,
    baseline: Annotated[Path | None, typer.Option(help="Weights of a baseline.")] = None,
    voice: Annotated[str, typer.Option(help="The house voice that speaks.")] = "joe",
    seed: Annotated[int, typer.Option(help="Another seed gives other continuations.")] = 0,
    as_json: Json = False,
) -> None:
    """Continue long examples and score real and continued speech over time."""
    from flows.measure.longform import run as run_longform
    from flows.measure.longform_layout import long_examples
    from flows.measure.longform_plots import draw_run, run_tables
    from generation.longform.model import load_textless
    from qa.errors import QAError

    try:
        speaker = _speaker(house_cast(voice))
        models = {"SpeechSSM": speaker.model}
        if baseline:
            models["Transformer"] = load_textless(baseline)[0]
        done = run_longform(
            list(long_examples(examples)),
            models,
            speaker.renderer,
            speaker.tokenizer,
            _voice_prompt(speaker.renderer),
            out,
            seed,
            continuations,
            console.print,
        )
    except (LecternError, QAError) as error:
        raise failed(error) from error
    draw_run(done, out)
    (out / "tables.md").write_text(run_tables(done), "utf-8")
    print(json.dumps(done.to_json()) if as_json else run_tables(done))


@longform.command()
def drift(
    recordings: Annotated[list[Path], typer.Argument(help="Finished recordings of one voice.")],
    out: Annotated[Path, typer.Option(help="Folder of table and plot.")],
    voice: Annotated[str, typer.Option(help="The house voice that should speak.")] = "joe",
    as_json: Json = False,
) -> None:
    """Measure how far sound and voice of finished recordings drift with length."""
    from flows.measure.longform_plots import draw_drift, drift_table
    from flows.measure.longform_scores import Drift
    from qa.audio import read_audio
    from qa.errors import QAError
    from qa.speaker import embed

    try:
        wanted = embed(_voice_prompt(house_cast(voice).renderer))
        done = [Drift.of(path.stem, read_audio(path), wanted) for path in recordings]
    except (LecternError, QAError) as error:
        raise failed(error) from error
    out.mkdir(parents=True, exist_ok=True)
    draw_drift(done, out)
    (out / "drift.md").write_text(drift_table(done), "utf-8")
    print(json.dumps([asdict(each) for each in done]) if as_json else drift_table(done))


@longform.command()
def perplexity(
    streams: Annotated[Path, typer.Argument(help="Token streams of real speech (.npz).")],
    out: Annotated[Path, typer.Option(help="Folder of table and plot.")],
    baseline: Annotated[Path | None, typer.Option(help="Weights of a baseline.")] = None,
    as_json: Json = False,
) -> None:
    """Measure how well real tokens are foreseen, over time and by quarter of 16 minutes."""
    from flows.measure.longform import perplexities
    from flows.measure.longform_plots import draw_perplexities, perplexity_table
    from generation.longform.model import load_textless
    from generation.training.endless import load_streams

    try:
        models = {"SpeechSSM": load_textless()[0]}
        if baseline:
            models["Transformer"] = load_textless(baseline)[0]
        done = perplexities(list(load_streams(streams).values()), models)
    except (LecternError, OSError) as error:
        raise failed(error) from error
    out.mkdir(parents=True, exist_ok=True)
    draw_perplexities(done, out)
    (out / "perplexity.md").write_text(perplexity_table(done), "utf-8")
    print(json.dumps(asdict(done)) if as_json else perplexity_table(done))


@longform.command()
def backbones(
    baseline: Annotated[Path, typer.Argument(help="Weights of the Transformer.")],
    out: Annotated[Path, typer.Option(help="Folder of tables and plots.")],
    tokens: Annotated[Path, typer.Option(help="(T,) tokens of real speech (.npy).")],
    memory: Annotated[float, typer.Option(help="Memory for states when batched, GiB.")] = 4.0,
    as_json: Json = False,
) -> None:
    """Measure what length costs the shipped model and a Transformer of its size."""
    from flows.measure.longform_backbones import backbone_tables, compare, draw_backbones
    from generation.longform.model import load_textless

    try:
        done = compare(load_textless()[0], load_textless(baseline)[0], tokens, memory)
    except LecternError as error:
        raise failed(error) from error
    out.mkdir(parents=True, exist_ok=True)
    draw_backbones(done, out)
    (out / "backbones.md").write_text(backbone_tables(done), "utf-8")
    print(json.dumps(done.to_json()) if as_json else backbone_tables(done))
