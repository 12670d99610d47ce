"""A small book read by the teacher, whose word times are exact, packaged once for all tests of packages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaged_story import Packaged

from flows.measure.teacher_book import teacher_windows
from generation.manuscript import Book, read_manuscript
from generation.mastering import MasteredChapter, master_chapter
from generation.packages import (
    BookMeta,
    Description,
    VoiceMeta,
    credits_chapters,
    package,
)
from generation.packages.release import AI_DISCLOSURE
from generation.training.teacher import Teacher

STORY = """---
title: The Lamp & the Fog
author: A. Writer
language: en-US
---
# The Lamp

The old man *lit* the lamp at 9 o'clock. “You are late,” he said.

The boy <did not> answer & sat down.

* * *

In the morning the fog was gone.

# The Fog

Nobody came. The sea was quiet.
"""
SAID = {
    "subtitle": "Two tales",
    "authors": ("A. Writer", "B. Müller"),
    "isbn": "9780306406157",
    "publisher": "Low Point Press",
    "published": "2026-11",
    "description": "A lamp, and a fog.",
    "rights": "CC0",
    "credits": {"translator": ("C. Third",)},
}


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory) -> tuple[Book, Description]:
    folder = tmp_path_factory.mktemp("story")
    (folder / "story.md").write_text(STORY, "utf-8")
    book = read_manuscript(folder / "story.md")
    meta = BookMeta.of(book).model_copy(update=SAID)
    voice = VoiceMeta(name="joe", codec="latent", models={"speechssm": "a" * 64})
    texts = {c.number: c for c in (*book.body, *credits_chapters(meta, voice, AI_DISCLOSURE))}
    return book, Description(meta, voice, texts=texts, dated="2026-11-24T06:00:00Z")


@pytest.fixture(scope="session")
def mastered(
    described: tuple[Book, Description], tmp_path_factory: pytest.TempPathFactory
) -> tuple[MasteredChapter, ...]:
    folder, teacher = tmp_path_factory.mktemp("mastered"), Teacher()
    return tuple(
        master_chapter(
            chapter.number,
            chapter.title,
            teacher_windows(chapter, teacher),
            folder / f"{chapter.number}.flac",
            seed=1,
        )
        for chapter in described[1].texts.values()
    )


@pytest.fixture(scope="session")
def packaged(
    described: tuple[Book, Description],
    mastered: tuple[MasteredChapter, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Packaged:
    out = tmp_path_factory.mktemp("packaged") / "book"
    book, description = described
    return Packaged(out, package(description, mastered, out, seed=1), book, mastered, description)


@pytest.fixture
def read_json() -> Callable[[Path], Any]:
    return lambda path: json.loads(path.read_text("utf-8"))
