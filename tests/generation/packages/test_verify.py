"""A sealed release verifies; whatever is changed in it afterwards is found out and named."""

import hashlib
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from mastering_tools import Audio
from packaged_story import Packaged

from generation.canonical import canonical_sha256
from generation.packages import PackagingError, package
from generation.packages.package import file_entry
from generation.packages.provenance import CARRIERS, TRAINED, ProvenanceError, mark, read_mark
from generation.packages.release import (
    Approval,
    ApprovedChapter,
    ConsentMark,
    Release,
    read_release,
)
from generation.packages.signing import (
    ROOT_FILE,
    Signatory,
    SigningError,
    own_signatory,
    read_signatory,
)
from generation.packages.verify import Verification, signature_bytes, verify_release
from generation.rates import DELIVERY_RATE_HZ, SAMPLE_RATE_HZ

NOW = datetime(2026, 11, 24, tzinfo=UTC)
BYTES = ("release", "signature", "files")

Copied = Callable[[], Path]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("signing") / "own"


@pytest.fixture(scope="module")
def signatory(own: Path) -> Signatory:
    return own_signatory(own)


@pytest.fixture(scope="module")
def roots(own: Path, signatory: Signatory) -> bytes:
    return (own / ROOT_FILE).read_bytes()


def finished(release: Release, out: Path, signatory: Signatory, **other: object) -> Release:
    """Finish a sealed release as publishing does: report, approval, consent, signature."""
    (out / "qa-report.json").write_bytes(b"{}")
    report = file_entry(out, out / "qa-report.json", "application/json")
    chapters = tuple(
        ApprovedChapter(
            number=c.number, title=c.title, narrated_sha256=c.content_sha256, tokens_sha256=()
        )
        for c in sorted(release.chapters, key=lambda c: c.number)
    )
    content = [
        [c.number, c.title, canonical_sha256({"narrated": c.narrated_sha256, "tokens": []})]
        for c in chapters
    ]
    final = release.model_copy(
        update={
            "status": "published",
            "companions": (report,),
            "approval": Approval(
                production=1,
                reviewer="R.",
                decided_at="2026-11-23T00:00:00+00:00",
                report_sha256=report.sha256,
                order_sha256="a" * 64,
                content_sha256=canonical_sha256({"order": "a" * 64, "chapters": content}),
                chapters=chapters,
            ),
            "consent": ConsentMark(
                document_sha256="b" * 64,
                scope=("narration", "publication"),
                territories=("DE", "GB"),
                valid_from="2026-01-01T00:00:00+00:00",
                valid_until="2027-01-01T00:00:00+00:00",
            ),
            "territories": ("GB",),
            "signer_sha256": signatory.fingerprint,
            **other,
        }
    )
    sign(final, out, signatory)
    return final


def sign(release: Release, out: Path, signatory: Signatory) -> None:
    (out / "release.json").write_bytes(release.to_bytes())
    (out / "signature.json").write_bytes(signature_bytes(release.to_bytes(), signatory))


@pytest.fixture(scope="module")
def sealed(
    packaged: Packaged, signatory: Signatory, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A release of the story's shortest chapter, sealed and finished."""
    out = tmp_path_factory.mktemp("sealed") / "book"

    def seal(path: Path, name: str, media_type: str) -> None:
        if media_type in CARRIERS:
            mark(path, name, media_type, packaged.description.disclosure, signatory)

    short = min(packaged.mastered, key=lambda chapter: chapter.samples)
    release = package(packaged.description, [short], out, seed=1, seal=seal)
    finished(release, out, signatory)
    return out


@pytest.fixture
def copied(sealed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / "copy"))


def named(found: Verification) -> set[str]:
    return {finding.path for finding in found.findings}


def test_a_sealed_release_is_sound(sealed: Path, roots: bytes) -> None:
    digest = hashlib.sha256((sealed / "release.json").read_bytes()).hexdigest()
    found = verify_release(sealed, roots, digest=digest, now=NOW)
    assert found.findings == ()
    assert found.digest == digest
    assert "Lectern" in found.signer
    assert not verify_release(sealed, roots, digest="0" * 64, now=NOW).sound


def test_every_carrier_says_that_a_model_made_it(sealed: Path, roots: bytes) -> None:
    marked = [f for f in read_release(sealed).all_files() if f.media_type in CARRIERS]
    assert {file.path.rpartition(".")[2] for file in marked} == {"flac", "mp3", "m4b"}
    for file in marked:
        said = read_mark(sealed / file.path, file.media_type, roots)
        assert (said.title, said.source_type) == (file.path, TRAINED)


def test_signing_changes_no_sample(
    sealed: Path, packaged: Packaged, decode: Callable[[Path], Audio]
) -> None:
    for kind in ("flac", "mp3"):
        [signed] = (sealed / kind).iterdir()
        plain = packaged.out / kind / f"03-the-fog.{kind}"
        np.testing.assert_array_equal(decode(signed), decode(plain))


def test_any_byte_of_any_file_is_found_out_and_named(sealed: Path, roots: bytes) -> None:
    drawn = random.Random(5)
    for path in sorted(path for path in sealed.rglob("*") if path.is_file()):
        name, data = path.relative_to(sealed).as_posix(), path.read_bytes()
        places = {0, len(data) // 2, len(data) - 1, *(drawn.randrange(len(data)) for _ in "1234")}
        for place in places:
            changed = bytearray(data)
            changed[place] ^= drawn.randrange(1, 256)
            path.write_bytes(changed)
            found = verify_release(sealed, roots, now=NOW, checks=BYTES)
            path.write_bytes(data)
            assert name in named(found), f"{name} at {place}"
    assert verify_release(sealed, roots, now=NOW, checks=BYTES).sound


def test_the_marks_by_themselves_find_changed_sound(sealed: Path, roots: bytes) -> None:
    for file in read_release(sealed).all_files():
        if file.media_type not in CARRIERS:
            continue
        path = sealed / file.path
        data = path.read_bytes()
        for place in (len(data) // 2, len(data) * 9 // 10):
            changed = bytearray(data)
            changed[place] ^= 1
            path.write_bytes(changed)
            with pytest.raises(ProvenanceError):
                read_mark(path, file.media_type, roots)
        path.write_bytes(data)


def test_files_added_removed_renamed_or_linked_are_named(copied: Path, roots: bytes) -> None:
    mp3 = next((copied / "mp3").iterdir())
    name = mp3.relative_to(copied).as_posix()

    def names() -> set[str]:
        return named(verify_release(copied, roots, now=NOW, checks=BYTES))

    (copied / "mp3" / "more.mp3").write_bytes(mp3.read_bytes())
    assert names() == {"mp3/more.mp3"}
    (copied / "mp3" / "more.mp3").unlink()
    mp3.rename(copied / "mp3" / "other.mp3")
    assert names() == {name, "mp3/other.mp3"}
    (copied / "mp3" / "other.mp3").rename(copied / "other.mp3")
    assert names() == {name, "other.mp3"}
    mp3.symlink_to(copied / "other.mp3")
    assert names() == {name, "other.mp3"}
    mp3.unlink()
    (copied / "other.mp3").rename(mp3)
    assert names() == set()


def test_a_file_passed_off_as_another_is_found_by_its_mark(
    copied: Path, roots: bytes, signatory: Signatory
) -> None:
    """Even where the release lists the swapped bytes and is signed again by the same signer."""
    release = read_release(copied)
    sample = copied / "sample.mp3"
    shutil.copy(next((copied / "mp3").iterdir()), sample)
    entry = file_entry(copied, sample, "audio/mpeg")
    files = tuple(entry if file.path == "sample.mp3" else file for file in release.files)
    sign(release.model_copy(update={"files": files}), copied, signatory)
    found = verify_release(copied, roots, now=NOW)
    assert [(f.check, f.path) for f in found.findings] == [("marks", "sample.mp3")]


def test_an_unknown_signer_is_not_trusted(sealed: Path, copied: Path, tmp_path: Path) -> None:
    stranger = own_signatory(tmp_path / "stranger")
    theirs = (tmp_path / "stranger" / ROOT_FILE).read_bytes()
    assert "signature.json" in named(verify_release(sealed, theirs, now=NOW))
    roots_of_ours = verify_release(copied, theirs, now=NOW, checks=("marks",))
    assert len(named(roots_of_ours)) == 4, "each FLAC, MP3, M4B and the sample"
    assert stranger.key.decode() not in repr(stranger)


def test_a_release_signed_by_another_of_the_same_root_is_refused(
    copied: Path, roots: bytes, tmp_path: Path
) -> None:
    sign(read_release(copied), copied, own_signatory(tmp_path / "stranger"))
    anchors = roots + (tmp_path / "stranger" / ROOT_FILE).read_bytes()
    found = verify_release(copied, anchors, now=NOW, checks=BYTES)
    assert [f.what for f in found.findings] == [
        "does not hold: its certificate is not the one that the release names"
    ]


def test_what_approval_and_consent_say_must_hold(
    copied: Path, roots: bytes, signatory: Signatory
) -> None:
    release = read_release(copied)
    assert release.approval is not None and release.consent is not None
    chapter = release.chapters[0]
    word = chapter.words[0].model_copy(update={"text": "Never"})
    other_words = chapter.model_copy(update={"words": (word, *chapter.words[1:])})
    changes: list[tuple[dict[str, object], str, str]] = [
        ({"status": "draft"}, "approval", "is a draft"),
        ({"approval": None}, "approval", "nobody approved"),
        ({"approval": release.approval.model_copy(update={"report_sha256": "c" * 64})},
         "approval", "the QA report that was approved"),
        ({"approval": release.approval.model_copy(update={"order_sha256": "c" * 64})},
         "approval", "not the content"),
        ({"chapters": (other_words,)}, "approval", "its words are not those"),
        ({"consent": None}, "consent", "no consent"),
        ({"consent": release.consent.model_copy(update={"scope": ("narration",)})},
         "consent", "does not cover publication"),
        ({"territories": ("GB", "US")}, "consent", "covers DE, GB only"),
        ({"consent": release.consent.model_copy(update={"valid_until": "2026-02-01T00:00:00+00:00"})},
         "consent", "ended on"),
    ]  # fmt: skip
    for change, check, what in changes:
        sign(release.model_copy(update=change), copied, signatory)
        found = verify_release(copied, roots, now=NOW, checks=("signature", check))
        assert [f.check for f in found.findings] == [check], change
        assert what in found.findings[0].what


def test_sound_outside_the_spec_and_without_disclosure_is_named(
    packaged: Packaged, roots: bytes
) -> None:
    """A draft: no signature, no mark, no approval; its tags and levels hold."""
    found = verify_release(packaged.out, roots, now=NOW, checks=("disclosure", "spec"))
    assert found.findings == ()
    found = verify_release(packaged.out, roots, now=NOW, checks=("signature", "approval", "marks"))
    assert {f.check for f in found.findings} == {"signature", "approval", "marks"}


def test_sound_without_the_watermark_is_named(
    copied: Path, roots: bytes, signatory: Signatory, speech: Callable[[str, float], Audio]
) -> None:
    release = read_release(copied)
    flac = copied / release.chapters[0].files[0].path
    plain = soxr.resample(speech("ljspeech", 12), SAMPLE_RATE_HZ, DELIVERY_RATE_HZ)
    soundfile.write(flac, plain, DELIVERY_RATE_HZ)
    found = verify_release(copied, roots, now=NOW, checks=("watermark",))
    assert named(found) == {release.chapters[0].files[0].path}
    sign(release.model_copy(update={"watermark": "another"}), copied, signatory)
    found = verify_release(copied, roots, now=NOW, checks=("watermark",))
    assert "this version cannot hear" in found.findings[0].what


def test_unusable_keys_and_folders_are_said_plainly(tmp_path: Path, own: Path) -> None:
    with pytest.raises(PackagingError, match=r"holds no release\.json"):
        verify_release(tmp_path, b"")
    with pytest.raises(SigningError, match="name two PEM files"):
        read_signatory(tmp_path / "chain.pem", tmp_path / "key.pem")
    other = own_signatory(tmp_path / "other")
    (tmp_path / "key.pem").write_bytes(other.key)
    with pytest.raises(SigningError, match="is not that of the first certificate"):
        read_signatory(own / "chain.pem", tmp_path / "key.pem")
    assert (own / "key.pem").stat().st_mode & 0o777 == 0o600
