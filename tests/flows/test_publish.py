"""Publishing as a publisher meets it: once, whole, signed; and never without approval and consent."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from flows.factory import publish as publishing
from flows.factory.catalogue import DOCUMENT, PAGE
from flows.factory.draft import spoken_credits
from flows.factory.intake import Narrator, Wish, submit
from flows.factory.plan import admit_and_plan
from flows.measure.teacher_book import approve, make_by_teacher, teacher_windows
from flows.services import Services
from flows.services import services as open_services
from generation.manuscript import read_manuscript
from generation.mastering import MasteredChapter, master_chapter
from generation.packages.release import Release
from generation.training.teacher import Teacher
from storage import enrolment, keys
from storage.errors import LeaseLost, NotFound, ObjectCorrupt, TransitionRefused
from storage.objects import FolderStore, Source, Stored

STORY = """---
title: The Lamp
author: A. Writer
language: en-US
---
# The Lamp

The old man lit the lamp.

“You are late,” he said.
"""

Approved = Callable[..., int]


@pytest.fixture(scope="session")
def manuscript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lamp") / "lamp.md"
    path.write_text(STORY, "utf-8")
    return path


@pytest.fixture(scope="session")
def masters(
    manuscript: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, MasteredChapter]:
    """The story's one chapter as the teacher reads it, mastered once for all tests."""
    folder, chapter = tmp_path_factory.mktemp("masters"), read_manuscript(manuscript).body[0]
    windows = teacher_windows(chapter, Teacher())
    done = master_chapter(chapter.number, chapter.title, windows, folder / "1.flac", seed=0)
    return {chapter.number: done}


@pytest.fixture
def made(
    opened: Services, narrator: Narrator, manuscript: Path, masters: dict[int, MasteredChapter]
) -> tuple[int, str]:
    """A production that awaits review, and its report's digest."""
    production = submit(opened, manuscript, narrator, Wish())
    admit_and_plan(opened, production.id, actor="tester")
    return production.id, make_by_teacher(opened, production.id, masters)


@pytest.fixture
def approved(opened: Services, made: tuple[int, str]) -> int:
    approve(opened, *made, "R. Viewer")
    return made[0]


def objects(services: Services, prefix: str) -> list[str]:
    return sorted(found.key for found in services.store.list(prefix))


def test_an_approved_production_becomes_one_release_that_verifies(
    opened: Services, approved: int
) -> None:
    done = publishing.publish(opened, approved)
    assert done.anew
    roots = publishing.trusted_roots(opened.settings)
    verified = publishing.verify_production(opened, approved, roots)
    assert (verified.findings, verified.digest) == ((), done.digest)
    prefix = keys.published(done.digest)
    release = Release.model_validate_json(opened.store.get(f"{prefix}release.json"))
    listed = {f"{prefix}{file.path}" for file in release.all_files()}
    beside = {f"{prefix}release.json", f"{prefix}signature.json"}
    assert set(objects(opened, prefix)) == listed | beside
    assert objects(opened, keys.RELEASES) == []
    assert release.approval is not None
    assert release.approval.reviewer == "R. Viewer"
    again = publishing.publish(opened, approved)
    assert (again.digest, again.anew) == (done.digest, False)
    links = publishing.links(opened, approved, expires_s=60)
    assert Path(links["mp3/01-the-lamp.mp3"].removeprefix("file://")).is_file()
    [row] = json.loads(opened.store.get(DOCUMENT))["releases"]
    assert (row["title"], row["state"], row["digest"]) == ("The Lamp", "published", done.digest)
    assert done.digest in opened.store.get(PAGE).decode()
    secret = (opened.settings.folder / "signing" / "key.pem").read_text().splitlines()[1].encode()
    for key in objects(opened, ""):
        assert secret not in opened.store.get(key), f"the signing key is in {key}"

    assert publishing.withdraw(opened, approved, actor="P.", reason="a wrong cover") == done.digest
    assert objects(opened, prefix) == []
    [row] = json.loads(opened.store.get(DOCUMENT))["releases"]
    assert (row["state"], row["manifest"]) == ("withdrawn", None)
    with pytest.raises(NotFound, match="no release that stands"):
        publishing.verify_production(opened, approved, roots)


def test_what_nobody_approved_is_not_published(opened: Services, made: tuple[int, str]) -> None:
    with pytest.raises(TransitionRefused, match="awaiting_review"):
        publishing.publish(opened, made[0])
    assert objects(opened, "release") == []


class _Watched(FolderStore):
    """A store that does something before a put whose key matches."""

    def __init__(self, root: Path, part: str, act: Callable[[], None]) -> None:
        super().__init__(root)
        self._part, self._act, self._acted = part, act, False

    def put(self, key: str, source: Source, **more: Any) -> Stored:
        if self._part in key and not self._acted:
            self._acted = True
            self._act()
        return super().put(key, source, **more)


@pytest.mark.parametrize("moment", ["mp3/01", "signature.json", "publication.json"])
def test_a_consent_revoked_during_the_upload_stops_it(
    moment: str, opened: Services, approved: int, narrator: Narrator
) -> None:
    def revoke() -> None:
        enrolment.revoke_consents(
            opened.engine, voice_id=narrator.voice.id, actor="owner", reason="I withdraw"
        )

    assert isinstance(opened.store, FolderStore)
    watched = replace(opened, store=_Watched(opened.store.root, moment, revoke))
    with pytest.raises(LeaseLost):
        publishing.publish(watched, approved)
    assert [key for key in objects(opened, keys.PUBLISHED) if "release.json" in key] == []
    with pytest.raises(TransitionRefused, match="is refused"):
        publishing.publish(opened, approved)


def test_a_mastered_chapter_that_was_changed_in_the_store_is_not_published(
    opened: Services, approved: int
) -> None:
    [key] = [key for key in objects(opened, keys.PRODUCTIONS) if key.endswith("-audio")]
    assert isinstance(opened.store, FolderStore)
    path = opened.store.path(key)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ObjectCorrupt):
        publishing.publish(opened, approved)
    assert objects(opened, keys.PUBLISHED) == []


def test_two_at_once_make_one_release(opened: Services, approved: int) -> None:
    done: list[publishing.Published] = []

    def go() -> None:
        with open_services(opened.settings) as own:
            done.append(publishing.publish(own, approved, wait_s=300))

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.anew for one in done) == [False, True]
    assert len({one.digest for one in done}) == 1
    assert len([k for k in objects(opened, keys.PUBLISHED) if k.endswith("release.json")]) == 1


def test_a_publisher_killed_half_way_is_taken_over_with_its_bytes(
    opened: Services, approved: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "flows.cli", "publish", str(approved)]
    environment = {**os.environ, **opened.settings.environment()}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as other:
        deadline = time.monotonic() + 300
        while len(_recorded(opened)) < 4 and time.monotonic() < deadline:
            assert other.poll() is None, "it was done before it could be killed"
            time.sleep(0.01)
        other.send_signal(signal.SIGKILL)
    before = _recorded(opened)
    assert "mp3/01-the-lamp.mp3" in before
    with opened.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE release SET token_until = now()"))
    done = publishing.publish(opened, approved)
    after = _recorded(opened)
    assert {path: after[path] for path in before} == before, "signed bytes were made anew"
    roots = publishing.trusted_roots(opened.settings)
    assert publishing.verify_production(opened, approved, roots).findings == ()
    assert done.anew


def _recorded(services: Services) -> dict[str, str]:
    with services.engine.connect() as connection:
        rows = connection.execute(text("SELECT path, digest FROM release_file"))
        return {path: digest for path, digest in rows}


def test_credits_are_planned_where_they_are_wished_for(
    opened: Services, narrator: Narrator, manuscript: Path
) -> None:
    production = submit(opened, manuscript, narrator, Wish(credits=True))
    admit_and_plan(opened, production.id, actor="tester")
    opening, closing = spoken_credits(opened, production.id)
    with opened.engine.connect() as connection:
        rows = connection.execute(text("SELECT number, title FROM chapter ORDER BY number"))
        assert list(rows)[1:] == [
            (opening.number, "Opening Credits"),
            (closing.number, "Closing Credits"),
        ]
    assert [block.text for block in opening.blocks][:2] == ["The Lamp.", "By A. Writer."]
