"""LibriSpeech's utterances put together again into long examples: the layout of LibriSpeech-Long.

LibriSpeech-Long (Park et al., arXiv 2412.18603; CC BY 4.0) keeps its examples of up to 4 minutes as
`split/speaker/chapter/chapter_NNNN.flac` with a `.txt` beside each. A boundary table says which utterances
of a chapter make which example; without one, they are packed in order as LibriLight's `cut_by_vad.py` does.
The published audio was cut from the original recordings; joined utterances lack what LibriSpeech left out
between them.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import soundfile

from generation.errors import LecternError

LONGEST_S = 240.0
"""Length of the published examples."""


@dataclass(frozen=True)
class Boundary:
    """One long example: the utterances `first` to `last`, both included, of a chapter."""

    split: str
    speaker: str
    chapter: str
    example: int
    first: int
    last: int

    @property
    def name(self) -> Path:
        """Place of the example under the layout's folder, without suffix."""
        return Path(self.split, self.speaker, self.chapter, f"{self.chapter}_{self.example:04}")


@dataclass(frozen=True)
class LongExample:
    """One example of the layout: its audio file, and the text beside it ("" where there is none)."""

    name: str
    audio: Path
    text: str


def read_boundaries(table: Path) -> list[Boundary]:
    """Read a boundary table: tab-separated, with the fields of `Boundary` as its header.

    Raises
    ------
    LecternError
        The table cannot be read as that.
    """
    header = [field.name for field in fields(Boundary)]
    try:
        with table.open(encoding="utf-8", newline="") as handle:
            rows = csv.DictReader(handle, delimiter="\t")
            if rows.fieldnames != header:
                raise LecternError(
                    f"{table}: the first line must name {', '.join(header)}, with tabs"
                )
            return [
                Boundary(
                    row["split"], row["speaker"], row["chapter"],
                    int(row["example"]), int(row["first"]), int(row["last"]),
                )
                for row in rows
            ]  # fmt: skip
    except (OSError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise LecternError(f"{table}: no boundary table ({error})") from error


def write_boundaries(table: Path, boundaries: Iterable[Boundary]) -> None:
    """Write a boundary table."""
    with table.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow([field.name for field in fields(Boundary)])
        writer.writerows(astuple(boundary) for boundary in boundaries)


def packed_boundaries(librispeech: Path, longest_s: float = LONGEST_S) -> list[Boundary]:
    """Pack each chapter's utterances in order into examples of at most `longest_s`.

    Raises
    ------
    LecternError
        There is no utterance under the folder.
    """
    boundaries: list[Boundary] = []
    for chapter in sorted({path.parent for path in librispeech.glob("*/*/*/*.flac")}):
        groups: list[list[int]] = [[]]
        length = 0.0
        for path in sorted(chapter.glob("*.flac")):
            seconds = soundfile.info(path).duration
            if groups[-1] and length + seconds > longest_s:
                groups.append([])
                length = 0.0
            groups[-1].append(int(path.stem.rsplit("-", 1)[1]))
            length += seconds
        split, speaker, name = chapter.relative_to(librispeech).parts
        boundaries += [
            Boundary(split, speaker, name, example, group[0], group[-1])
            for example, group in enumerate(groups)
        ]
    if not boundaries:
        raise LecternError(
            f"{librispeech} holds no split/speaker/chapter/*.flac: name the folder that holds dev-clean "
            "and the like"
        )
    return boundaries


def build_layout(librispeech: Path, boundaries: Sequence[Boundary], out: Path) -> list[Path]:
    """Write every example's FLAC and text; return the audio files.

    Raises
    ------
    LecternError
        An utterance or its transcript is missing, or utterances of one example differ in rate.
    """
    return [_build_example(librispeech, boundary, out) for boundary in boundaries]


def _build_example(librispeech: Path, boundary: Boundary, out: Path) -> Path:
    folder = librispeech / boundary.split / boundary.speaker / boundary.chapter
    said = _transcripts(folder / f"{boundary.speaker}-{boundary.chapter}.trans.txt")
    first, last = (
        f"{boundary.speaker}-{boundary.chapter}-{n:04}" for n in (boundary.first, boundary.last)
    )
    names = [name for name in sorted(said) if first <= name <= last]
    for name in {first, last, *names}:
        if name not in said or not (folder / f"{name}.flac").is_file():
            raise LecternError(
                f"{boundary.name}: utterance {name} or its transcript is not in {folder}: "
                "correct the boundary table or fetch the whole split"
            )
    sources = [folder / f"{name}.flac" for name in names]
    rates = {soundfile.info(source).samplerate for source in sources}
    if len(rates) > 1:
        raise LecternError(f"{boundary.name}: its utterances have the sample rates {sorted(rates)}")
    path = (out / boundary.name).with_suffix(".flac")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    form = {"subtype": "PCM_16", "format": "FLAC"}
    with soundfile.SoundFile(partial, "w", rates.pop(), 1, **form) as target:
        for source in sources:
            target.write(soundfile.read(source, dtype="int16")[0])
    partial.replace(path)
    path.with_suffix(".txt").write_text(" ".join(said[name] for name in names) + "\n", "utf-8")
    return path


def _transcripts(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise LecternError(f"{path} is missing: a chapter of LibriSpeech has its transcripts there")
    lines = (line.split(maxsplit=1) for line in path.read_text("utf-8").splitlines())
    return {line[0]: line[1] if len(line) > 1 else "" for line in lines if line}


def long_examples(layout: Path) -> Iterator[LongExample]:
    """Find the examples of a layout, in the order of their names.

    Raises
    ------
    LecternError
        There are none.
    """
    paths = sorted(layout.glob("*/*/*/*_[0-9][0-9][0-9][0-9].flac"))
    if not paths:
        raise LecternError(
            f"{layout} holds no split/speaker/chapter/chapter_NNNN.flac: make it with "
            "`lectern longform layout`"
        )
    for path in paths:
        text = path.with_suffix(".txt")
        name = str(path.relative_to(layout).with_suffix(""))
        yield LongExample(name, path, text.read_text("utf-8").strip() if text.is_file() else "")
