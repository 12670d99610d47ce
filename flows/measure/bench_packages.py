"""Packages measured: a real book from EPUB to a verified release, its cost, and how true the read-along is.

The sound is the teacher's (`flows.measure.teacher_book`), whose word times are exact. For each word a stretch
of the teacher's waveform is looked for in the MP3 that lies in the EPUB, around the moment at which the
overlay lights the word: the lag is the highlight's error.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import soxr
from lxml import etree

from flows.factory.draft import spoken_credits
from flows.factory.intake import Wish, chosen, narrator_named, submit
from flows.factory.plan import admit_and_plan
from flows.factory.publish import publish, trusted_roots, verify_stored
from flows.measure.teacher_book import Audio, approve, make_by_teacher, teacher_windows
from flows.services import Services, services
from flows.settings import Settings
from generation.manuscript import read_manuscript
from generation.mastering import MasteredChapter, NarratedWindow, master_chapter
from generation.packages.credits import CLOSING_NUMBER, OPENING_NUMBER
from generation.packages.release import RELEASE_FILE, Release
from generation.packages.verify import CHECKS, fault, verify_release
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ
from generation.training.teacher import Teacher
from storage import keys
from storage.objects import fetch

REACH_S, STRETCH_S = 0.25, 0.6
"""How far a word is looked for, and how much of the teacher's waveform from its start on."""

WHOLLY_VERIFIED = 3
"""How many tampered files are looked for by a whole verification, everything decoded again."""

_Clocks = tuple[float, float]

_SMIL = "{http://www.w3.org/ns/SMIL}"


@dataclass(frozen=True)
class Cost:
    """What a step took: seconds on the clock and of all processors, and their ratios to the audio's."""

    wall_s: float
    cpu_s: float
    wall_ratio: float
    cpu_ratio: float


@dataclass(frozen=True)
class Highlight:
    """Errors of the read-along, in milliseconds, over so many words."""

    words: int
    median_ms: float
    p95_ms: float
    worst_ms: float


@dataclass(frozen=True)
class Measured:
    """What was measured of one book."""

    title: str
    audio_s: float
    digest: str
    files: int
    mastering: Cost
    publishing: Cost
    verifying: Cost
    findings: tuple[str, ...]
    violations: tuple[str, ...]
    epubcheck: str
    highlight: Highlight
    tampered: int
    missed: tuple[str, ...]


def measure(opened: Services, book: Path, chapters: str, minutes: float, offsets: int) -> Measured:
    """Take a book from its file to a verified release, and measure it."""
    production_id, windows, mastering = _approved(opened, book, chapters, minutes)
    began = _clocks()
    done = publish(opened, production_id)
    published = _clocks()
    roots = trusted_roots(opened.settings)
    verified = verify_stored(opened, done.digest, roots)
    checked = _clocks()
    with TemporaryDirectory(prefix="lectern-bench-") as place:
        folder = Path(place)
        prefix = keys.published(done.digest)
        for one in opened.store.list(prefix):
            fetch(opened.store, one.key, folder / one.key.removeprefix(prefix))
        release = Release.model_validate_json((folder / "release.json").read_bytes())
        epub = next(folder / f.path for f in release.files if f.path.endswith(".epub"))
        highlight = _highlight(epub, release, windows)
        tampered, missed = tamper(folder, roots, offsets)
        audio_s = release.duration_s
        return Measured(
            title=release.book.title,
            audio_s=audio_s,
            digest=done.digest,
            files=done.files,
            mastering=_cost(*mastering, audio_s),
            publishing=_cost(began, published, audio_s),
            verifying=_cost(published, checked, audio_s),
            findings=tuple(f"{f.check} {f.path}: {f.what}" for f in verified.findings),
            violations=tuple(v for chapter in release.chapters for v in chapter.violations),
            epubcheck=_epubcheck(epub),
            highlight=highlight,
            tampered=tampered,
            missed=missed,
        )


def _approved(
    opened: Services, book: Path, chapters: str, minutes: float
) -> tuple[int, dict[int, list[NarratedWindow]], tuple[_Clocks, _Clocks]]:
    """Have the teacher make a production, credits too, and approve it; also return when it was mastered."""
    narrator = narrator_named(opened, "joe", "bench")
    wish = Wish(chapters=chapters, credits=True)
    production = submit(opened, book, narrator, wish)
    admit_and_plan(opened, production.id, actor="bench")
    read = (*chosen(read_manuscript(book), chapters), *spoken_credits(opened, production.id))
    teacher, heard, masters = Teacher(), {}, {}
    folder = opened.settings.folder / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    for chapter in read:
        heard[chapter.number] = list(teacher_windows(chapter, teacher, limit_s=60 * minutes))
    began = _clocks()
    for chapter in read:
        masters[chapter.number] = _mastered(chapter.number, chapter.title, heard, folder)
    mastered = _clocks()
    report = make_by_teacher(opened, production.id, masters)
    approve(opened, production.id, report, "bench")
    return production.id, heard, (began, mastered)


def _mastered(
    number: int, title: str, heard: dict[int, list[NarratedWindow]], folder: Path
) -> MasteredChapter:
    return master_chapter(number, title, heard[number], folder / f"{number}.flac", seed=0)


def _clocks() -> _Clocks:
    return time.monotonic(), time.process_time()


def _cost(began: _Clocks, ended: _Clocks, audio_s: float) -> Cost:
    wall_s, cpu_s = ended[0] - began[0], ended[1] - began[1]
    return Cost(wall_s, cpu_s, wall_s / audio_s, cpu_s / audio_s)


def _epubcheck(path: Path) -> str:
    jar = shutil.which("epubcheck")  # Debian's is a jar that the kernel may not know how to run
    if jar is None:
        return "not installed: infra/debian.sh epubcheck"
    command = ["java", "-Xss512m", "-jar", jar, str(path)]  # it follows a long overlay by recursion
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    return next((line for line in lines if line.startswith("Messages:")), "\n".join(lines[-3:]))


# Read-along -------------------------------------------------------------------------------------------


def _highlight(epub: Path, release: Release, windows: dict[int, list[NarratedWindow]]) -> Highlight:
    """Compare the overlays' times with where the teacher's words are heard in the EPUB's own MP3s."""
    errors_s: list[float] = []
    with zipfile.ZipFile(epub) as book:
        for chapter in release.chapters:
            if chapter.number in (OPENING_NUMBER, CLOSING_NUMBER):
                continue
            stem = Path(chapter.files[0].path).stem
            sound = _decoded(book.read(f"EPUB/audio/{stem}.mp3"))
            overlay = etree.fromstring(book.read(f"EPUB/text/{stem}.smil"))
            begins = [
                float(audio.get("clipBegin", "0s")[:-1]) for audio in overlay.iter(f"{_SMIL}audio")
            ]
            words = [
                window.audio[round(word.start_s * SAMPLE_RATE_HZ) :][: _samples(STRETCH_S)]
                for window in windows[chapter.number]
                for word in window.words
            ]
            pairs = list(zip(words, begins, strict=True))[1:]  # the first clip begins at nought
            errors_s += [
                error for word, at_s in pairs if (error := _lag_s(word, sound, at_s)) is not None
            ]
    found = np.abs(errors_s) * 1000
    return Highlight(
        len(found),
        float(np.median(found)),
        float(np.percentile(found, 95)),
        float(found.max()),
    )


def _decoded(mp3: bytes) -> Audio:
    with av.open(BytesIO(mp3)) as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    sound = np.concatenate(frames).astype(np.float32)
    return np.asarray(soxr.resample(sound, DELIVERY_RATE_HZ, SAMPLE_RATE_HZ), np.float32)


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


def _lag_s(word: Audio, sound: Audio, at_s: float) -> float | None:
    """Return by how much later than `at_s` a stretch is heard, in seconds; None at the very end."""
    first = max(0, _samples(at_s) - _samples(REACH_S))
    near = sound[first : _samples(at_s) + _samples(REACH_S) + len(word)]
    if len(near) < len(word) or len(word) < _samples(0.1):
        return None
    size = 1 << (len(near) + len(word)).bit_length()
    product = np.fft.rfft(near, size) * np.conj(np.fft.rfft(word, size))
    found = np.fft.irfft(product, size)[: len(near) - len(word) + 1]
    power = np.cumsum(np.concatenate([[0.0], np.square(near, dtype=np.float64)]))
    energy = power[len(word) :] - power[: -len(word)]
    best = int(np.argmax(found / np.sqrt(energy + 1e-9)))
    return (first + best) / SAMPLE_RATE_HZ - at_s


# Tampering --------------------------------------------------------------------------------------------


def tamper(folder: Path, roots: bytes, offsets: int, seed: int = 0) -> tuple[int, tuple[str, ...]]:
    """Change one byte at a time in every file, then add, remove and rename one; return trials and misses.

    Offsets are the first byte, the middle, the last, and `offsets` random ones of each file. A trial misses
    where verification does not name that file. The first trial of a file reads all files again (that of
    `WHOLLY_VERIFIED` files makes every check of `lectern verify`); the others hold the one file against the
    manifest, by the function by which verification does it.
    """
    drawn, trials, missed = random.Random(seed), 0, []
    release = Release.model_validate_json((folder / RELEASE_FILE).read_bytes())
    listed = {file.path: file for file in release.all_files()}
    wholly = set(random.Random(seed + 1).sample(sorted(listed), min(WHOLLY_VERIFIED, len(listed))))
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name, size = path.relative_to(folder).as_posix(), path.stat().st_size
        places = [0, size // 2, size - 1, *(drawn.randrange(size) for _ in range(offsets))]
        for number, place in enumerate(places):
            with _changed(path, place, drawn.randrange(1, 256)):
                trials += 1
                if number and name in listed:
                    found_out = bool(fault(path, listed[name]))
                else:
                    few = ("files",) if name in listed else ("release", "signature")
                    whole = name in wholly and not number
                    found_out = name in _named(folder, roots, *(CHECKS if whole else few))
                if not found_out:
                    missed.append(f"{name} at {place}")
    for what in ("added", "removed", "renamed"):
        trials += 1
        missed += [f"{name} {what}" for name in _moved(folder, roots, what)]
    return trials, tuple(missed)


def _moved(folder: Path, roots: bytes, what: str) -> Iterator[str]:
    """Add, remove or rename a file for a moment; yield its name where that is not found out."""
    path = sorted(folder.rglob("*.mp3"))[0]
    other, kept = path.with_name("another.mp3"), path.read_bytes()
    if what == "added":
        other.write_bytes(kept)
    elif what == "removed":
        path.unlink()
    else:
        path.rename(other)
    touched = {"added": {other}, "removed": {path}, "renamed": {path, other}}[what]
    names = {one.relative_to(folder).as_posix() for one in touched}
    yield from names - _named(folder, roots, "files")
    other.unlink(missing_ok=True)
    path.write_bytes(kept)


@contextmanager
def _changed(path: Path, place: int, by: int) -> Iterator[None]:
    """Change a byte of a file while inside."""
    _flip(path, place, by)
    try:
        yield
    finally:
        _flip(path, place, by)


def _flip(path: Path, place: int, by: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        was = file.read(1)[0]
        file.seek(place)
        file.write(bytes([was ^ by]))


def _named(folder: Path, roots: bytes, *checks: str) -> set[str]:
    """Return the files that verification finds fault with."""
    return {finding.path for finding in verify_release(folder, roots, checks=checks).findings}


def run(home: Path, book: Path, chapters: str, minutes: float, offsets: int) -> dict[str, Any]:
    """Measure one book with all state in `home`; returns what was measured, as JSON can hold it."""
    with services(Settings(home=home)) as opened:
        done = measure(opened, book, chapters, minutes, offsets)
    sound = not (done.findings or done.violations or done.missed)
    return {"passes": sound, **asdict(done), "load_average": os.getloadavg()[0]}


def main() -> None:
    """Measure one book from the command line and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("book", type=Path)
    parser.add_argument("--chapters", default="1-2", help="which chapters, as `lectern narrate`")
    parser.add_argument("--minutes", type=float, default=600, help="read so much of each chapter")
    parser.add_argument("--offsets", type=int, default=200, help="random offsets of each file")
    parser.add_argument("--home", type=Path, required=True, help="an empty folder for all state")
    args = parser.parse_args()
    told = run(args.home, args.book, args.chapters, args.minutes, args.offsets)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
