"""Verifies a release in a folder, offline: bytes, signatures and marks, approval, consent and spec.

Nothing is believed that is not checked: `release.json` must be in its one canonical form and signed by a
trusted signer, the folder must hold what it lists and nothing else, and every file is read again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
from pydantic import ValidationError

from generation.canonical import canonical_sha256
from generation.mastering import spec
from generation.mastering.errors import MasteringError
from generation.mastering.files import gathered, read_audio
from generation.mastering.loudness import LevelMeter
from generation.mastering.watermark import WATERMARK, detect
from generation.packages.errors import PackagingError, ProvenanceError, SigningError
from generation.packages.provenance import CARRIERS, TRAINED, read_mark
from generation.packages.release import RELEASE_FILE, FileEntry, Release
from generation.packages.signing import (
    Signatory,
    canonical_chain,
    verify_signature,
)
from generation.rates import DELIVERY_RATE_HZ

SIGNATURE_FILE = "signature.json"
PUBLICATION = "publication"
_WATERMARK_HEARD_S = 30.0
CHECKS = (
    "release",
    "signature",
    "files",
    "marks",
    "approval",
    "consent",
    "disclosure",
    "watermark",
    "spec",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold: which check, which file (or part of the release), and what."""

    check: str
    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked and what was found; a release is sound where nothing was found."""

    digest: str
    title: str
    signer: str
    files: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether everything holds."""
        return not self.findings


def signature_bytes(release: bytes, signatory: Signatory) -> bytes:
    """Return `signature.json` for the bytes of a `release.json`: signature and chain, in one form."""
    return _signature_json(
        hashlib.sha256(release).hexdigest(), signatory.sign(release), signatory.chain
    )


def _signature_json(digest: str, signature: str, chain: bytes) -> bytes:
    document = {
        "algorithm": "ES256",
        "of": RELEASE_FILE,
        "sha256": digest,
        "signature": signature,
        "chain": canonical_chain(chain).decode("ascii"),
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def verify_release(
    folder: Path,
    anchors: bytes,
    *,
    digest: str = "",
    now: datetime | None = None,
    checks: tuple[str, ...] = CHECKS,
) -> Verification:
    """Check a release's folder.

    Parameters
    ----------
    folder : Path
        It holds `release.json`, `signature.json` and the files.
    anchors : bytes
        Root certificates that are trusted, PEM.
    digest : str
        The release digest that is wanted; any where empty.
    now : datetime
        When the consent must hold; the present where none.
    checks : tuple of str
        Which of `CHECKS` to make.

    Raises
    ------
    PackagingError
        There is no release at all in the folder.
    """
    try:
        data = (folder / RELEASE_FILE).read_bytes()
    except OSError as error:
        raise PackagingError(
            f"{folder} holds no {RELEASE_FILE} ({error.strerror}); give the folder of a release"
        ) from error
    found_digest = hashlib.sha256(data).hexdigest()
    try:
        release = Release.model_validate_json(data)
    except ValidationError as error:
        what = f"is no release of Lectern's: {error.error_count()} fields are wrong"
        return Verification(found_digest, "", "", 0, (Finding("release", RELEASE_FILE, what),))
    signer, unsigned = _signed(folder, data, release, anchors)
    all_checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "release": lambda: _whole(release, data, digest),
        "signature": lambda: iter(unsigned),
        "files": lambda: _files(folder, release),
        "marks": lambda: _marks(folder, release, anchors),
        "approval": lambda: _approval(release),
        "consent": lambda: _consent(release, now or datetime.now(UTC)),
        "disclosure": lambda: _disclosed(folder, release),
        "watermark": lambda: _watermarked(folder, release),
        "spec": lambda: _within_spec(folder, release),
    }
    findings: list[Finding] = []
    for name in CHECKS:
        if name in checks:
            spoilt = {finding.path for finding in findings}
            findings += [one for one in all_checks[name]() if one.path not in spoilt]
    count = len(release.all_files())
    return Verification(found_digest, release.book.title, signer, count, tuple(findings))


def _whole(release: Release, data: bytes, digest: str) -> Iterator[Finding]:
    if data != release.to_bytes():
        yield Finding("release", RELEASE_FILE, "is not in its canonical form: it was changed")
    if digest and hashlib.sha256(data).hexdigest() != digest:
        yield Finding("release", RELEASE_FILE, f"is not release {digest}")


def _signed(
    folder: Path, data: bytes, release: Release, anchors: bytes
) -> tuple[str, list[Finding]]:
    """Return the signer's name, and what is wrong with the signature."""
    path = folder / SIGNATURE_FILE
    try:
        raw = path.read_bytes()
        said: dict[str, Any] = json.loads(raw)
        chain = str(said["chain"]).encode("ascii")
        if raw != _signature_json(str(said["sha256"]), str(said["signature"]), chain):
            raise SigningError("it is not in its canonical form: it was changed")
        same = said["sha256"] == hashlib.sha256(data).hexdigest()
        try:
            signer = verify_signature(data, str(said["signature"]), chain, anchors)
        except SigningError:
            if same:
                raise
            return "", [
                Finding("signature", RELEASE_FILE, "is not what was signed: it was changed")
            ]
        if not same:
            raise SigningError("the digest that it names was changed")
        if Signatory(chain, b"").fingerprint != release.signer_sha256:
            raise SigningError("its certificate is not the one that the release names")
    except FileNotFoundError:
        return "", [Finding("signature", SIGNATURE_FILE, "is missing: the release is not signed")]
    except (OSError, ValueError, KeyError, TypeError, SigningError) as error:
        return "", [Finding("signature", SIGNATURE_FILE, f"does not hold: {error}")]
    return signer, []


def _files(folder: Path, release: Release) -> Iterator[Finding]:
    listed = {file.path: file for file in release.all_files()}
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    for name in sorted(found - listed.keys() - {RELEASE_FILE, SIGNATURE_FILE}):
        yield Finding("files", name, "is not part of the release: it was added or renamed")
    for name, file in listed.items():
        wrong = "is missing" if name not in found else fault(folder / name, file)
        if wrong:
            yield Finding("files", name, wrong)


def fault(path: Path, file: FileEntry) -> str:
    """Say what is wrong with a listed file's bytes; empty where they are as listed."""
    if path.is_symlink() or not path.is_file():
        return "is not a plain file"
    if path.stat().st_size != file.bytes:
        return f"has {path.stat().st_size} bytes, not {file.bytes}"
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return (
        "" if digest == file.sha256 else f"has digest {digest}, not {file.sha256}: it was changed"
    )


def _carriers(folder: Path, release: Release) -> Iterator[FileEntry]:
    for file in release.all_files():
        if file.media_type in CARRIERS and (folder / file.path).is_file():
            yield file


def _marks(folder: Path, release: Release, anchors: bytes) -> Iterator[Finding]:
    for file in _carriers(folder, release):
        try:
            mark = read_mark(folder / file.path, file.media_type, anchors)
        except ProvenanceError as error:
            yield Finding("marks", file.path, str(error))
            continue
        if mark.title != file.path:
            yield Finding("marks", file.path, f"was signed as {mark.title!r}")
        elif mark.source_type != TRAINED:
            yield Finding("marks", file.path, "is not marked as made by a trained model")


def _approval(release: Release) -> Iterator[Finding]:
    approval = release.approval
    if release.status != "published" or approval is None:
        yield Finding("approval", RELEASE_FILE, "is a draft: nobody approved it for publication")
        return
    reports = {file.sha256 for file in release.companions}
    if approval.report_sha256 not in reports:
        yield Finding("approval", "report", "the QA report that was approved is not in the release")
    approved = [
        [
            chapter.number,
            chapter.title,
            canonical_sha256(
                {"narrated": chapter.narrated_sha256, "tokens": list(chapter.tokens_sha256)}
            ),
        ]
        for chapter in approval.chapters
    ]
    content = {"order": approval.order_sha256, "chapters": approved}
    narrated = {chapter.number: chapter.narrated_sha256 for chapter in approval.chapters}
    delivered = {chapter.number: chapter.content_sha256 for chapter in release.chapters}
    if canonical_sha256(content) != approval.content_sha256 or narrated != delivered:
        yield Finding("approval", "chapters", "are not the content that was approved")
    numbers = [chapter.number for chapter in release.chapters]
    for chapter in release.chapters:
        told = chapter.model_dump(mode="json", include={"number", "title", "audio_sha256", "words"})
        whole = numbers.count(chapter.number) == 1
        if whole and canonical_sha256(told) != chapter.content_sha256:
            yield Finding("approval", chapter.title, "its words are not those that were approved")


def _consent(release: Release, now: datetime) -> Iterator[Finding]:
    consent = release.consent
    if consent is None:
        yield Finding("consent", "consent", "no consent to use the voice is recorded")
        return
    if PUBLICATION not in consent.scope:
        yield Finding("consent", "consent", "does not cover publication")
    if "WORLD" not in consent.territories and not set(release.territories) <= set(
        consent.territories
    ):
        yield Finding("consent", "consent", f"covers {', '.join(consent.territories)} only")
    if now < datetime.fromisoformat(consent.valid_from):
        yield Finding("consent", "consent", f"begins on {consent.valid_from}")
    if consent.valid_until and now >= datetime.fromisoformat(consent.valid_until):
        yield Finding("consent", "consent", f"ended on {consent.valid_until}")


def _disclosed(folder: Path, release: Release) -> Iterator[Finding]:
    """Look for the statement in the tags of every audio file."""
    for file in _carriers(folder, release):
        try:
            with av.open(str(folder / file.path)) as container:
                said = {name.lower(): value for name, value in container.metadata.items()}
        except (av.error.FFmpegError, ValueError) as error:
            yield Finding("disclosure", file.path, f"cannot be read: {error}")
            continue
        if release.disclosure not in said.get("comment", ""):
            yield Finding("disclosure", file.path, "does not say in its tags that the voice is AI")


def _watermarked(folder: Path, release: Release) -> Iterator[Finding]:
    """Listen to the start of every audio file of a release that says its sound is marked."""
    if not release.watermark:
        return
    if release.watermark != WATERMARK:
        what = f"names the watermark {release.watermark!r}, which this version cannot hear"
        yield Finding("watermark", RELEASE_FILE, what)
        return
    for file in _carriers(folder, release):
        try:
            blocks = read_audio(folder / file.path)
            found = detect(blocks, DELIVERY_RATE_HZ, most_s=_WATERMARK_HEARD_S)
        except (av.error.FFmpegError, MasteringError, ValueError, IndexError) as error:
            yield Finding("watermark", file.path, f"cannot be decoded: {error}")
            continue
        if not found.found:
            what = f"does not carry the watermark that it should (score {found.median:.2f})"
            yield Finding("watermark", file.path, what)


def _within_spec(folder: Path, release: Release) -> Iterator[Finding]:
    """Decode and measure what shops take: every MP3 by the ACX-spec, the M4B's peak."""
    for file in _carriers(folder, release):
        if file.media_type == "audio/flac":
            continue
        try:
            meter = LevelMeter(DELIVERY_RATE_HZ)
            for block in gathered(read_audio(folder / file.path)):
                meter.push(block)
        except (av.error.FFmpegError, MasteringError, ValueError, IndexError) as error:
            yield Finding("spec", file.path, f"cannot be decoded: {error}")
            continue
        levels = meter.levels()
        if file.media_type == "audio/mpeg":
            missed = spec.violations(levels)
        else:
            over = levels.peak_dbfs > spec.PEAK_MAX_DBFS
            missed = (f"peak {levels.peak_dbfs:.2f} dBFS",) if over else ()
        for one in missed:
            yield Finding("spec", file.path, one)
