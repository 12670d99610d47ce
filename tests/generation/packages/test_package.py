"""Whole packages: every file, time and digest, and nothing half-made whatever happens."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest
from numpy.typing import NDArray

from generation.manuscript.book import Place
from generation.mastering import MasteringError, NarratedChapter, NarratedWindow, SpokenWord, spec
from generation.packages import (
    BookMeta,
    Description,
    PackagingError,
    VoiceMeta,
    attach,
    master_and_package,
)
from generation.packages.release import Release, read_release, schema
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ

Audio = NDArray[np.float32]
Speech = Callable[[str, float], Audio]
ROOT = Path(__file__).parents[3]

BOOK = BookMeta(title="Two Tales", authors=("A. Writer",), language="en-GB", rights="CC0")
VOICE = VoiceMeta(name="joe", codec="latent", models={"speechssm": "a" * 64})
DESCRIBED = Description(BOOK, VOICE)


def _words(seconds: float) -> list[SpokenWord]:
    return [
        SpokenWord(f"w{i}", i + 0.25, i + 0.75, Place("text/1.xhtml", "/4/2", 3 * i, 3 * i + 2))
        for i in range(int(seconds))
    ]


def _chapters(audio: Audio, titles: tuple[str, ...] = ("One", "Two")) -> list[NarratedChapter]:
    """Chapters of two windows each, cut from `audio`."""
    parts = np.array_split(audio, 2 * len(titles))
    windows = [NarratedWindow(part, _words(len(part) / SAMPLE_RATE_HZ)) for part in parts]
    return [
        NarratedChapter(number, title, windows[2 * number - 2 : 2 * number])
        for number, title in enumerate(titles, 1)
    ]


def _package(out: Path, audio: Audio) -> Release:
    return master_and_package(DESCRIBED, _chapters(audio), out, seed=1)


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def audio(speech: Speech) -> Audio:
    return speech("ljspeech", 12)


@pytest.fixture(scope="module")
def packaged(audio: Audio, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Release]:
    out = tmp_path_factory.mktemp("packaged") / "book"
    return out, _package(out, audio)


def test_the_directory_holds_what_the_release_lists_and_nothing_else(
    packaged: tuple[Path, Release],
) -> None:
    out, release = packaged
    listed = {file.path: file.sha256 for file in release.all_files()}
    found = _files(out)
    del found["release.json"]
    assert found == listed
    assert set(listed) == {
        *("cover.jpg", "sample.mp3", "m4b/two-tales.m4b", "m4b/cover.jpg", "m4b/metadata.json"),
        *("publication.json", "contents.html", "two-tales.lpf", "podcast.xml", "onix.xml"),
        *("flac/01-one.flac", "mp3/01-one.mp3", "vtt/01-one.vtt", "chapters/01-one.json"),
        *("flac/02-two.flac", "mp3/02-two.mp3", "vtt/02-two.vtt", "chapters/02-two.json"),
    }
    assert all((out / file.path).stat().st_size == file.bytes for file in release.all_files())
    assert [p.name for p in out.parent.iterdir()] == [out.name], "leavings beside the release"


def test_release_json_is_the_release_and_follows_the_published_schema(
    packaged: tuple[Path, Release],
) -> None:
    out, release = packaged
    published = (ROOT / "docs" / "release.schema.json").read_text()
    assert published == schema(), (
        "write generation.packages.release.schema() to docs/release.schema.json"
    )
    document = json.loads((out / "release.json").read_text())
    jsonschema.Draft202012Validator(json.loads(published)).validate(document)
    assert read_release(out) == release
    assert (document["status"], document["synthetic_audio"]) == ("draft", True)
    assert "AI voice" in document["disclosure"]


def test_durations_and_marks_agree_with_ffprobe(
    packaged: tuple[Path, Release], probe: Callable[[Path], Any]
) -> None:
    out, release = packaged
    start = 0.0
    marks = probe(out / "m4b/two-tales.m4b")["chapters"]
    for chapter, mark in zip(release.chapters, marks, strict=True):
        flac = probe(out / chapter.files[0].path)
        assert float(flac["format"]["duration"]) == pytest.approx(chapter.duration_s, abs=1e-4)
        assert chapter.duration_s == chapter.samples / DELIVERY_RATE_HZ
        assert mark["tags"]["title"] == chapter.title
        assert float(mark["start_time"]) == pytest.approx(start, abs=0.001)
        start += chapter.duration_s
        assert float(mark["end_time"]) == pytest.approx(start, abs=0.001)
    whole = next(
        s for s in probe(out / "m4b/two-tales.m4b")["streams"] if s["codec_type"] == "audio"
    )
    assert float(whole["duration"]) == pytest.approx(start, abs=0.001)
    assert release.duration_s == pytest.approx(start)


def test_every_file_is_within_the_spec_as_ffmpeg_decodes_it(
    packaged: tuple[Path, Release],
    decode: Callable[[Path], Audio],
    ebur128: Callable[[Audio, int], tuple[float, float]],
) -> None:
    out, release = packaged
    sounding = [f.path for f in release.all_files() if f.media_type.startswith("audio/")]
    assert len(sounding) == 6
    for path in sounding:
        heard = decode(out / path)
        rms_dbfs = 10 * np.log10(np.mean(np.square(heard, dtype=np.float64)))
        assert spec.RMS_MIN_DBFS <= rms_dbfs <= spec.RMS_MAX_DBFS
        assert 20 * np.log10(np.abs(heard).max()) <= spec.PEAK_MAX_DBFS
        head = np.square(heard[: DELIVERY_RATE_HZ // 2], dtype=np.float64)
        assert spec.FLOOR_MIN_DBFS < 10 * np.log10(head.mean()) <= spec.FLOOR_MAX_DBFS
        loudness_lufs, peak_dbtp = ebur128(heard, DELIVERY_RATE_HZ)
        assert loudness_lufs == pytest.approx(spec.LOUDNESS_LUFS, abs=0.5)
        assert peak_dbtp <= spec.TRUE_PEAK_MAX_DBTP
    assert all(chapter.violations == () for chapter in release.chapters)


def _clicks(starts_s: list[float], seconds: float) -> Audio:
    """Bursts of 1 kHz, 0.2 s long, that begin abruptly at given times, over low noise."""
    random = np.random.default_rng(3)
    audio = 3e-4 * random.standard_normal(round(seconds * SAMPLE_RATE_HZ))
    burst = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(round(0.2 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)
    for start_s in starts_s:
        at = round(start_s * SAMPLE_RATE_HZ)
        audio[at : at + len(burst)] += burst
    return audio.astype(np.float32)


def _spoken(starts_s: list[float]) -> list[SpokenWord]:
    return [
        SpokenWord(f"{s}", s, s + 0.2, Place("d", "/4", i, i + 1)) for i, s in enumerate(starts_s)
    ]


def test_words_are_where_the_release_says_in_every_file(
    tmp_path: Path, decode: Callable[[Path], Audio]
) -> None:
    """Bursts at known times in windows of odd lengths; their onsets found in what ffmpeg decodes."""
    starts = [0.8, 1.9, 3.1, 4.4]
    chapters = [
        NarratedChapter(
            number,
            f"Chapter {number}",
            [
                NarratedWindow(_clicks(starts, 5.3 + 0.0137 * (number + i)), _spoken(starts))
                for i in range(4)
            ],
        )
        for number in (1, 2)
    ]
    release = master_and_package(DESCRIBED, chapters, tmp_path / "out", seed=1)
    begin = 0
    whole = decode(tmp_path / "out" / "m4b/two-tales.m4b")
    for chapter in release.chapters:
        assert len(chapter.words) == 16
        for heard in (
            *(decode(tmp_path / "out" / file.path) for file in chapter.files[:2]),
            whole[begin : begin + chapter.samples],
        ):
            for word in chapter.words:
                at = round(word.start_s * DELIVERY_RATE_HZ)
                near = np.abs(heard[at - 2000 : at + 2000])
                onset = int(np.argmax(near > 0.5 * near.max())) - 2000
                assert abs(onset - 11) <= 0.001 * DELIVERY_RATE_HZ, (
                    word,
                    onset,
                )  # 11: a quarter period
        begin += chapter.samples


def test_a_shared_stretch_speaks_each_word_once(tmp_path: Path) -> None:
    """Two windows of 10 s share 4 s: the first half is the earlier window's, the second the later's."""
    first, second = [1.0, 5.0, 7.0, 8.6], [0.9, 2.6, 5.0]
    windows = [
        NarratedWindow(_clicks(first, 10), _spoken(first)),
        NarratedWindow(_clicks(second, 10), _spoken(second), overlap=4 * SAMPLE_RATE_HZ),
    ]
    release = master_and_package(
        DESCRIBED, [NarratedChapter(1, "One", windows)], tmp_path / "out", seed=1
    )
    words = release.chapters[0].words
    assert [word.text for word in words] == ["1.0", "5.0", "7.0", "2.6", "5.0"]
    gaps = np.diff([word.start_s for word in words])
    np.testing.assert_allclose(gaps, [4.0, 2.0, 1.6, 2.4], atol=2e-4)


def test_the_same_narration_gives_the_same_bytes(
    packaged: tuple[Path, Release], audio: Audio, tmp_path: Path
) -> None:
    out, release = packaged
    again = _package(tmp_path / "elsewhere", audio)
    assert again == release
    assert _files(tmp_path / "elsewhere") == _files(out)
    other = master_and_package(
        DESCRIBED, _chapters(audio, ("One", "Zwei")), tmp_path / "other", seed=1
    )
    assert other.content_digest != release.content_digest


def test_an_earlier_release_is_replaced_whole(
    packaged: tuple[Path, Release], audio: Audio, tmp_path: Path
) -> None:
    out = tmp_path / "book"
    shutil.copytree(packaged[0], out)
    attach(out, "qa.json", b"{}", "application/json")
    release = master_and_package(DESCRIBED, _chapters(audio, ("Only",)), out, seed=2)
    assert set(_files(out)) == {file.path for file in release.all_files()} | {"release.json"}
    assert [p.name for p in tmp_path.iterdir()] == ["book"]


@pytest.mark.parametrize(
    "foreign", ["notes.txt", "flac/03-mine.flac", ".hidden", "release.json", "deep/er/x"]
)
def test_a_directory_that_holds_other_things_is_refused_and_left_alone(
    foreign: str, packaged: tuple[Path, Release], audio: Audio, tmp_path: Path
) -> None:
    out = tmp_path / "book"
    if foreign != "release.json":
        shutil.copytree(packaged[0], out)
    (out / foreign).parent.mkdir(parents=True, exist_ok=True)
    (out / foreign).write_text("mine")
    before = _files(out)
    with pytest.raises(PackagingError, match="holds"):
        _package(out, audio)
    assert _files(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["book"]


def test_places_that_cannot_be_written_are_refused(audio: Audio, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PackagingError, match="is a file"):
        _package(tmp_path / "file", audio)
    with pytest.raises(PackagingError, match="cannot be written"):
        _package(tmp_path / "file" / "below", audio)
    with pytest.raises(PackagingError, match="is a mount point"):
        _package(Path("/"), audio)
    with pytest.raises(PackagingError, match="no chapter"):
        master_and_package(DESCRIBED, [], tmp_path / "none", seed=1)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


class _Stopped(Exception):
    pass


def test_a_narration_that_fails_half_way_leaves_the_earlier_release(
    packaged: tuple[Path, Release], audio: Audio, tmp_path: Path
) -> None:
    out = tmp_path / "book"
    shutil.copytree(packaged[0], out)
    before = _files(out)

    def windows() -> Iterator[NarratedWindow]:
        yield NarratedWindow(audio[:100_000])
        raise _Stopped

    chapters = [*_chapters(audio, ("One",)), NarratedChapter(2, "Two", windows())]
    with pytest.raises(_Stopped):
        master_and_package(DESCRIBED, chapters, out, seed=1)
    assert _files(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["book"]


def test_a_silent_chapter_is_named(audio: Audio, tmp_path: Path) -> None:
    silent = NarratedChapter(7, "The Void", [NarratedWindow(np.zeros(50_000, np.float32))])
    with pytest.raises(MasteringError, match=r"chapter 7 \('The Void'\).*no speech"):
        master_and_package(
            DESCRIBED, [*_chapters(audio, ("One",)), silent], tmp_path / "book", seed=1
        )
    assert list(tmp_path.iterdir()) == []


_SLEEPER = """
import sys, time
from pathlib import Path
import numpy as np
from generation.mastering import NarratedChapter, NarratedWindow
from generation.packages import BookMeta, Description, VoiceMeta, master_and_package
def windows():
    yield NarratedWindow(np.zeros(50_000, np.float32))
    yield NarratedWindow(np.zeros(50_000, np.float32))
    print("under way", flush=True)
    time.sleep(120)
chapters = [NarratedChapter(1, "One", windows())]
described = Description(BookMeta(title="T"), VoiceMeta(name="joe"))
master_and_package(described, chapters, Path(sys.argv[1]), seed=1)
"""


def test_a_second_run_waits_its_turn_and_a_killed_one_is_cleared_away(
    audio: Audio, tmp_path: Path
) -> None:
    out = tmp_path / "book"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", _SLEEPER, str(out)], stdout=subprocess.PIPE, env=environment
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"under way\n"
        with pytest.raises(PackagingError, match="another run"):
            _package(out, audio)
        other.send_signal(signal.SIGKILL)
    assert not out.exists()
    assert list((tmp_path / ".book.partial" / ".masters").glob("*.spool"))
    _package(out, audio)
    assert [p.name for p in tmp_path.iterdir()] == ["book"]
    assert not [name for name in _files(out) if "spool" in name]


def test_a_replacement_killed_between_its_renames_is_undone(
    packaged: tuple[Path, Release], tmp_path: Path
) -> None:
    out = tmp_path / "book"
    shutil.copytree(packaged[0], tmp_path / ".book.previous")
    before = _files(tmp_path / ".book.previous")

    def windows() -> Iterator[NarratedWindow]:
        raise _Stopped
        yield

    with pytest.raises(_Stopped):
        master_and_package(DESCRIBED, [NarratedChapter(1, "One", windows())], out, seed=1)
    assert _files(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["book"]


def test_reports_can_be_attached_but_nothing_overwritten(
    packaged: tuple[Path, Release], tmp_path: Path
) -> None:
    out = tmp_path / "book"
    shutil.copytree(packaged[0], out)
    for data in (b"first", b"second"):
        release = attach(out, "qa.html", data, "text/html")
        entry = release.companions[0]
        assert (entry.path, entry.sha256) == ("qa.html", hashlib.sha256(data).hexdigest())
        assert len(release.companions) == 1
        assert read_release(out) == release
    assert release.content_digest == packaged[1].content_digest
    for name in ("cover.jpg", "release.json", "../qa.html", "flac/x", "", "."):
        with pytest.raises(PackagingError, match="cannot be attached"):
            attach(out, name, b"", "text/plain")
    with pytest.raises(PackagingError, match="no release"):
        attach(tmp_path, "qa.html", b"", "text/html")


def test_chapters_are_named_safely_and_in_order(audio: Audio, tmp_path: Path) -> None:
    titles = ("../../etc/passwd", "I. L’Été à Brontë—“ok”", "第一章")
    release = master_and_package(DESCRIBED, _chapters(audio, titles), tmp_path / "out", seed=1)
    assert [chapter.files[1].path for chapter in release.chapters] == [
        "mp3/01-etc-passwd.mp3",
        "mp3/02-i-lete-a-bronte-ok.mp3",
        "mp3/03-chapter.mp3",
    ]
    assert [chapter.title for chapter in release.chapters] == list(titles)


def test_a_chapter_is_narrated_only_when_its_turn_comes(audio: Audio, tmp_path: Path) -> None:
    """Windows are asked for one by one, so narration and packaging can go hand in hand."""
    asked: list[tuple[int, float]] = []

    def windows(number: int) -> Iterator[NarratedWindow]:
        for part in np.array_split(audio[: 12 * SAMPLE_RATE_HZ], 3):
            asked.append((number, time.monotonic()))
            yield NarratedWindow(part)

    chapters = [NarratedChapter(n, f"C{n}", windows(n)) for n in (1, 2)]
    master_and_package(DESCRIBED, chapters, tmp_path / "out", seed=1)
    assert [number for number, _ in asked] == [1, 1, 1, 2, 2, 2]
    assert asked[3][1] - asked[2][1] > 0.02, (
        "the second chapter began before the first was mastered"
    )
