"""Publishing as a publisher meets it: once, whole, signed; and never without approval and consent."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen
from uuid import uuid4

import pytest
import services as running
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from flows.factory import publish as publishing
from flows.factory.catalogue import DOCUMENT, PAGE
from flows.factory.draft import spoken_credits
from flows.factory.intake import Narrator, Wish, submit
from flows.factory.plan import admit_and_plan
from flows.factory.studio import Studio
from flows.measure.teacher_book import approve, make_by_teacher, teacher_windows
from flows.services import Services
from flows.services import services as open_services
from flows.settings import Settings
from generation.manuscript import read_manuscript
from generation.mastering import MasteredChapter, master_chapter
from generation.packages.release import Release
from generation.training.teacher import Teacher
from generation.windows import Window as PlannedWindow
from storage import enrolment, keys, productions
from storage.errors import LeaseLost, NotFound, ObjectCorrupt, TransitionRefused
from storage.models import Window
from storage.objects import FolderStore, ObjectStore, Source, Stored

STORY = """---
title: The Lamp
author: A. Writer
language: en-US
---
# The Lamp

The old man lit the lamp.

“You are late,” he said.
"""

on_both_stores = pytest.mark.parametrize("opened", ["folder", "s3"], indirect=True)


@pytest.fixture(scope="session")
def seaweed() -> Iterator[running.Seaweed]:
    """Run one S3 service for the session."""
    with running.running_seaweed() as service:
        yield service


@pytest.fixture
def opened(
    opened: Services, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """Open services on a folder, or with the parameter "s3" on a real S3 service."""
    if getattr(request, "param", "folder") == "folder":
        yield opened
        return
    seaweed: running.Seaweed = request.getfixturevalue("seaweed")
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)
    bucket = f"publish-{uuid4().hex[:12]}"
    seaweed.store(bucket)
    monkeypatch.setenv("LECTERN_STORE", f"s3://{bucket}/books")
    monkeypatch.setenv("LECTERN_S3_ENDPOINT", seaweed.endpoint)
    with open_services(Settings()) as made:
        yield made


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


@on_both_stores
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
    with urlopen(links["mp3/01-the-lamp.mp3"]) as answer:
        digest = hashlib.sha256(answer.read()).hexdigest()
    assert [digest] == [f.sha256 for f in release.all_files() if f.path == "mp3/01-the-lamp.mp3"]
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


class _Watched:
    """A store that does something before the first put whose key matches."""

    def __init__(self, store: ObjectStore, part: str, act: Callable[[], None]) -> None:
        self._store, self._part, self._act, self._acted = store, part, act, False

    def put(self, key: str, source: Source, **more: Any) -> Stored:
        if self._part in key and not self._acted:
            self._acted = True
            self._act()
        return self._store.put(key, source, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@on_both_stores
@pytest.mark.parametrize("moment", ["mp3/01", "signature.json", "publication.json"])
def test_a_consent_revoked_during_the_upload_stops_it(
    moment: str, opened: Services, approved: int, narrator: Narrator
) -> None:
    def revoke() -> None:
        enrolment.revoke_consents(
            opened.engine, voice_id=narrator.voice.id, actor="owner", reason="I withdraw"
        )

    watching = cast(ObjectStore, _Watched(opened.store, moment, revoke))
    watched = replace(opened, store=watching)
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


@on_both_stores
def test_two_processes_at_once_make_one_release(opened: Services, approved: int) -> None:
    command = [*(sys.executable, "-m", "flows.cli", "publish", str(approved)), "--json"]
    environment = {**os.environ, **opened.settings.environment()}
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    told = []
    for process in both:
        said, complaint = process.communicate(timeout=300)
        assert process.returncode == 0, complaint.decode()
        told.append(json.loads(said))
    assert sorted(one["published_now"] for one in told) == [False, True]
    [digest] = {one["digest"] for one in told}
    assert [k for k in objects(opened, keys.PUBLISHED) if k.endswith("release.json")] == [
        f"{keys.published(digest)}release.json"
    ]


@on_both_stores
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


def test_a_word_of_the_credits_can_be_said_otherwise(
    opened: Services, narrator: Narrator, manuscript: Path
) -> None:
    production = submit(opened, manuscript, narrator, Wish(credits=True))
    admit_and_plan(opened, production.id, actor="tester")
    number = spoken_credits(opened, production.id)[0].number
    with Session(opened.engine) as session:
        rows = productions.get(session, production.id).chapters
        chapter = next(one for one in rows if one.number == number)
        row = session.scalars(select(Window).where(Window.chapter_id == chapter.id)).first()
        assert row is not None
        planned = PlannedWindow(row.number, row.unit_start, row.unit_end, 0.0)
        script_key, script_digest = chapter.script_key, chapter.script_digest
    assert script_key is not None and script_digest is not None
    studio = Studio(opened)
    script, plan = (
        studio.stored_script(script_key, script_digest),
        studio.production(production.id),
    )
    before = studio.part(script, planned, plan, number, {})
    after = studio.part(script, planned, plan, number, {"Writer": "RY-tuh"})
    assert [u.index for u in after.script.units] != [u.index for u in before.script.units]
