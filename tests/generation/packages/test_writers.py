"""Each package read back by an independent reader: epubcheck, ffprobe, feedparser, a browser's clock."""

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import feedparser  # type: ignore[import-untyped]
import numpy as np
import pytest
from lxml import etree
from mastering_tools import Audio, lag_samples
from numpy.typing import NDArray
from packaged_story import Packaged

from generation.mastering import spec
from generation.packages import podcast
from generation.rates import DELIVERY_RATE_HZ

Probe = Callable[[Path], Any]
Decode = Callable[[Path], Audio]
SMIL = "{http://www.w3.org/ns/SMIL}"
XHTML = "{http://www.w3.org/1999/xhtml}"
STEMS = ["01-opening-credits", "02-the-lamp", "03-the-fog", "04-closing-credits"]


def epubcheck(path: Path) -> subprocess.CompletedProcess[str]:
    """Run Debian's epubcheck."""
    jar = shutil.which("epubcheck")
    assert jar, "epubcheck is missing: apt-get install epubcheck"
    command = ["java", "-jar", jar, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_epubcheck_finds_nothing(packaged: Packaged) -> None:
    done = epubcheck(packaged.out / "the-lamp-the-fog.epub")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 fatals / 0 errors / 0 warnings" in done.stdout


def test_the_epub_holds_the_books_text_and_lights_each_word_when_it_is_heard(
    packaged: Packaged,
) -> None:
    chapter = packaged.release.chapters[1]
    with zipfile.ZipFile(packaged.out / "the-lamp-the-fog.epub") as book:
        page = etree.fromstring(book.read(f"EPUB/text/{STEMS[1]}.xhtml"))
        overlay = etree.fromstring(book.read(f"EPUB/text/{STEMS[1]}.smil"))
        assert book.namelist()[0] == "mimetype"
        assert (
            book.read(f"EPUB/audio/{STEMS[1]}.mp3")
            == (packaged.out / f"mp3/{STEMS[1]}.mp3").read_bytes()
        )
    blocks = packaged.book.body[0].blocks
    section = page.find(f".//{XHTML}section")
    shown = ["".join(element.itertext()) for element in section]
    assert shown == [block.text for block in blocks]
    assert [e.tag.removeprefix(XHTML) for e in section] == ["h1", "p", "p", "hr", "p"]
    assert "".join(page.find(f".//{XHTML}em").itertext()) == "lit"
    words = {span.get("id"): "".join(span.itertext()) for span in page.iter(f"{XHTML}span")}
    clips = [
        (
            words[par.find(f"{SMIL}text").get("src").partition("#")[2]],
            *(float(par.find(f"{SMIL}audio").get(n)[:-1]) for n in ("clipBegin", "clipEnd")),
        )
        for par in overlay.iter(f"{SMIL}par")
    ]
    assert [clip[0] for clip in clips] == [word.text for word in chapter.words]
    for (_, begin, _), word in list(zip(clips, chapter.words, strict=True))[1:]:
        assert begin == pytest.approx(word.start_s, abs=0.001)
    assert clips[0][1] == 0
    assert [c[2] for c in clips[:-1]] == [c[1] for c in clips[1:]], "a player would skip the pauses"
    assert clips[-1][2] == pytest.approx(chapter.duration_s, abs=0.001)


_CUE = re.compile(r"(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})\n(.+)")


def test_captions_say_every_word_in_order(packaged: Packaged) -> None:
    for chapter in packaged.release.chapters:
        text = (packaged.out / chapter.files[2].path).read_text("utf-8")
        assert text.startswith("WEBVTT\n\nNOTE ")
        end = 0.0
        shown = []
        for cue in _CUE.findall(text):
            h, m, s, hh, mm, ss = map(float, cue[:6])
            begin = h * 3600 + m * 60 + s
            assert begin >= end - 1e-6
            end = hh * 3600 + mm * 60 + ss
            assert begin < end <= chapter.duration_s + 0.001
            shown.append(re.sub(r"<[\d:.]+>", "", cue[6]).replace("&amp;", "&"))
        said = re.findall(r"\w+", " ".join(shown))
        assert said == re.findall(r"\w+", " ".join(word.text for word in chapter.words))
    assert "“<" not in text and "“You" in (packaged.out / "vtt/02-the-lamp.vtt").read_text("utf-8")


def test_the_feed_is_read_by_a_feed_reader(packaged: Packaged) -> None:
    feed = feedparser.parse((packaged.out / "podcast.xml").read_bytes())
    assert not feed.bozo
    assert feed.feed.title == "The Lamp & the Fog"
    assert "AI voice" in feed.feed.description
    assert [entry.title for entry in feed.entries] == [c.title for c in packaged.release.chapters]
    for entry, chapter in zip(feed.entries, packaged.release.chapters, strict=True):
        [enclosure] = entry.enclosures
        assert int(enclosure.length) == (packaged.out / enclosure.href).stat().st_size
        assert enclosure.type == "audio/mpeg"
        assert int(entry.itunes_duration) == round(chapter.duration_s)
        [chapters] = [a for name, a in entry.items() if name == "podcast_chapters"]
        assert (packaged.out / chapters["url"]).is_file()
    assert len({entry.published for entry in feed.entries}) == 4


def test_a_feed_can_be_given_whole_addresses(packaged: Packaged) -> None:
    data = podcast.absolute((packaged.out / "podcast.xml").read_bytes(), "https://a.example/r/")
    feed = feedparser.parse(data)
    assert feed.feed.link == "https://a.example/r/contents.html"
    assert [entry.enclosures[0].href for entry in feed.entries] == [
        f"https://a.example/r/mp3/{stem}.mp3" for stem in STEMS
    ]
    assert b'url="vtt/' not in data and b'href="cover' not in data


def test_scenes_are_chapters_inside_an_episode_and_its_mp3(
    packaged: Packaged, probe: Probe, read_json: Callable[[Path], Any]
) -> None:
    chapters = read_json(packaged.out / "chapters/02-the-lamp.json")
    assert chapters["version"] == "1.2.0"
    words = packaged.release.chapters[1].words
    scene = next(word.start_s for word in words if word.text == "In")
    starts = [chapter["startTime"] for chapter in chapters["chapters"]]
    assert starts == pytest.approx([0, scene], abs=0.001)
    marks = probe(packaged.out / "mp3/02-the-lamp.mp3")["chapters"]
    assert [mark["tags"]["title"] for mark in marks] == ["The Lamp", "The Lamp, scene 2"]
    assert [float(mark["start_time"]) for mark in marks] == pytest.approx(starts, abs=0.002)


def test_the_w3c_manifest_names_files_that_are_there_and_their_lengths(
    packaged: Packaged, probe: Probe, read_json: Callable[[Path], Any]
) -> None:
    manifest = read_json(packaged.out / "publication.json")
    assert manifest["conformsTo"] == "https://www.w3.org/TR/audiobooks/"
    assert (manifest["name"], manifest["isbn"]) == ("The Lamp & the Fog", "9780306406157")
    total = 0.0
    with zipfile.ZipFile(packaged.out / "the-lamp-the-fog.lpf") as package:
        assert json.loads(package.read("publication.json")) == manifest
        names = set(package.namelist())
        for item in [*manifest["readingOrder"], *manifest["resources"]]:
            assert item["url"] in names
            assert package.read(item["url"]) == (packaged.out / item["url"]).read_bytes()
    for item in manifest["readingOrder"]:
        seconds = float(item["duration"][2:-1])
        heard = float(probe(packaged.out / item["url"])["format"]["duration"])
        assert heard == pytest.approx(seconds, abs=0.06)
        total += seconds
    assert float(manifest["duration"][2:-1]) == pytest.approx(total, abs=0.01)


def test_an_m4b_lies_beside_its_cover_and_metadata(
    packaged: Packaged, probe: Probe, read_json: Callable[[Path], Any]
) -> None:
    found = probe(packaged.out / "m4b/the-lamp-the-fog.m4b")
    metadata = read_json(packaged.out / "m4b/metadata.json")
    assert metadata["authors"] == ["A. Writer", "B. Müller"]
    assert metadata["narrators"] == ["joe (AI Voice)"]
    for mark, chapter in zip(found["chapters"], metadata["chapters"], strict=True):
        assert float(mark["start_time"]) == pytest.approx(chapter["start"], abs=0.002)
        assert mark["tags"]["title"] == chapter["title"]
    assert (packaged.out / "m4b/cover.jpg").read_bytes() == (
        packaged.out / "cover.jpg"
    ).read_bytes()


def test_the_sample_is_the_beginning_of_the_first_chapter(
    packaged: Packaged, decode: Decode
) -> None:
    sample, chapter = (decode(packaged.out / n) for n in ("sample.mp3", "mp3/02-the-lamp.mp3"))
    length = min(len(sample), len(chapter))
    assert abs(lag_samples(chapter[:length], sample[:length], DELIVERY_RATE_HZ)) < 1
    assert len(sample) / DELIVERY_RATE_HZ <= 300


def test_every_format_begins_at_the_same_sample(packaged: Packaged, decode: Decode) -> None:
    """Encoder delay: MP3 and M4B against the archive, found by cross-correlation; at most 1 ms."""
    begin = 0
    whole = decode(packaged.out / "m4b/the-lamp-the-fog.m4b")
    for chapter in packaged.release.chapters:
        flac, mp3 = (decode(packaged.out / file.path) for file in chapter.files[:2])
        part: NDArray[np.float32] = whole[begin : begin + chapter.samples]
        for other in (mp3[: len(flac)], part):
            assert abs(lag_samples(flac, other, DELIVERY_RATE_HZ)) <= 0.001 * DELIVERY_RATE_HZ
        begin += chapter.samples


def test_every_chapter_and_credit_holds_the_spec(packaged: Packaged) -> None:
    kinds = [chapter.kind for chapter in packaged.release.chapters]
    assert kinds == ["opening_credits", "body", "body", "closing_credits"]
    for chapter in packaged.release.chapters:
        assert chapter.violations == ()
        assert spec.RMS_MIN_DBFS <= chapter.levels.rms_dbfs <= spec.RMS_MAX_DBFS
    spoken = " ".join(word.text for word in packaged.release.chapters[0].words)
    assert "artificial voice" in spoken and "AI voice" in spoken
