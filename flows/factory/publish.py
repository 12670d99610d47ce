"""Publishing: an approved production becomes a signed release in the object store, once, whatever happens.

    grant ─► gather ─► package, each file signed as it is finished ─► store ─► settle ─► manifest ─► catalogue

The rules are the storage room's: without consent and approval there is no grant, and no manifest. Signed
files are stored and recorded before anything names them; who takes over after a kill finds them by the
record and goes on with the same bytes, so the release's digest is the same.
"""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from flows.factory.catalogue import remove_feed, write_catalogue, write_feed
from flows.factory.draft import REPORT_FILE, gathered
from flows.services import Services
from flows.settings import Settings
from generation.packages import Release, package
from generation.packages.errors import SigningError
from generation.packages.package import file_entry
from generation.packages.provenance import CARRIERS, mark
from generation.packages.release import RELEASE_FILE, Approval, ApprovedChapter, ConsentMark
from generation.packages.signing import ROOT_FILE, Signatory, own_signatory, read_signatory
from generation.packages.verify import SIGNATURE_FILE, Verification, signature_bytes, verify_release
from storage import keys, productions, releases
from storage.errors import ConflictRefused, NotFound, TransitionRefused
from storage.models import Production
from storage.objects import fetch, put_once
from storage.releases import FOREVER, Grant
from storage.states import ProductionState

TOKEN_S = 60.0
"""How long a publisher that was killed keeps others waiting."""

_BEAT_S = TOKEN_S / 4


@dataclass(frozen=True)
class Published:
    """A release that stands."""

    production_id: int
    digest: str
    manifest_key: str
    files: int
    anew: bool
    """Whether it was published by this very call."""


def signatory(services: Services) -> Signatory:
    """Return who signs: the settings' chain and key, or this home's own; raises SigningError."""
    settings = services.settings
    if settings.signing_chain and settings.signing_key:
        return read_signatory(settings.signing_chain, settings.signing_key)
    if settings.signing_chain or settings.signing_key:
        raise SigningError("signing_chain and signing_key go together: set both, or neither")
    return own_signatory(settings.folder / "signing")


def trusted_roots(settings: Settings, trust: Path | None = None) -> bytes:
    """Return the root certificates that `verify` trusts, PEM; raises SigningError where there are none."""
    path = trust or settings.signing_trust or settings.folder / "signing" / ROOT_FILE
    try:
        return path.read_bytes()
    except OSError as error:
        raise SigningError(
            f"there are no trusted root certificates in {path}: give their PEM file with --trust"
        ) from error


def publish(services: Services, production_id: int, *, wait_s: float = 0.0) -> Published:
    """Publish a production; one that is published already is returned as it stands.

    Parameters
    ----------
    services : Services
        Database, object store, settings.
    production_id : int
        What to publish.
    wait_s : float
        How long to wait for another publisher that is at it, in seconds.

    Raises
    ------
    ConsentRefused, ApprovalRefused, TransitionRefused
        It may not be published.
    LeaseLost
        It was taken over, or revoked, meanwhile.
    LecternError
        It cannot be packaged or signed.
    """
    deadline = time.monotonic() + wait_s
    while True:
        standing = releases.published(services.engine, production_id)
        if standing is not None and standing.release_digest and standing.manifest_key:
            write_feed(services, production_id, standing.release_digest)
            write_catalogue(services)
            count = len(releases.files_of(services.engine, standing.id))
            return Published(
                production_id, standing.release_digest, standing.manifest_key, count, False
            )
        try:
            grant = releases.grant(
                services.engine, production_id, publisher=_publisher(), token_s=TOKEN_S
            )
            break
        except TransitionRefused:
            if time.monotonic() >= deadline or not _under_way(services, production_id):
                raise
            time.sleep(min(1.0, max(0.05, deadline - time.monotonic())))
    with _held(services, grant):
        return _publish(services, grant)


def _under_way(services: Services, production_id: int) -> bool:
    with Session(services.engine) as session:
        state = productions.get(session, production_id).state
    return state in (ProductionState.PUBLISHING, ProductionState.PUBLISHED)


def _publish(services: Services, grant: Grant) -> Published:
    signs = signatory(services)
    desk = _Desk(services, grant, signs)
    dated = grant.approved_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with (
        gathered(services, grant.production_id, dated=dated) as draft,
        TemporaryDirectory(prefix="lectern-publish-") as place,
    ):
        out = Path(place) / "release"
        made = package(draft.description, draft.chapters, out, seed=draft.seed, seal=desk.seal)
        final = _approved(services, grant, made, out, signs)
        desk.store_rest(out, final)
        data = final.to_bytes()
        digest = hashlib.sha256(data).hexdigest()
        (out / SIGNATURE_FILE).write_bytes(signature_bytes(data, signs))
        desk.keep(out / SIGNATURE_FILE, SIGNATURE_FILE)
        types = {file.path: file.media_type for file in final.all_files()}
        types[SIGNATURE_FILE] = "application/json"
        _settle(services, grant, digest, types)
        with releases.finalise(
            services.engine, grant, manifest_path=RELEASE_FILE, release_digest=digest
        ) as key:
            put_once(
                services.store,
                key,
                data,
                content_type="application/json",
                cache_control=FOREVER,
            )
    releases.clear_waiting(services.store, grant)
    write_feed(services, grant.production_id, digest)
    write_catalogue(services)
    return Published(grant.production_id, digest, key, len(final.all_files()), True)


def _settle(services: Services, grant: Grant, digest: str, types: dict[str, str]) -> None:
    """Settle the files; bytes that an older build recorded cannot be finished: begin again next time."""
    try:
        releases.settle(
            services.engine, services.store, grant, release_digest=digest, content_types=types
        )
    except ConflictRefused:
        releases.abandon(services.engine, grant, reason="made by two builds; it begins anew")
        raise


class _Desk:
    """Signs files, stores and records them; what was recorded before is used again."""

    def __init__(self, services: Services, grant: Grant, signs: Signatory) -> None:
        self._services, self._grant, self._signs = services, grant, signs
        self._recorded = {
            file.path: file for file in releases.recorded_files(services.engine, grant)
        }

    def seal(self, path: Path, name: str, media_type: str) -> None:
        """Sign a finished file, or put the bytes in its place that were signed before; store it."""
        before = self._recorded.get(name)
        if before is not None:
            fetch(self._services.store, before.key, path, digest=before.digest)
            return
        if media_type in CARRIERS:
            disclosure = self._services.settings.disclosure
            mark(path, name, media_type, disclosure, self._signs)
        self.keep(path, name)

    def keep(self, path: Path, name: str) -> None:
        """Store and record a final file; where one was recorded before, that one stays."""
        before = self._recorded.get(name)
        if before is not None:
            fetch(self._services.store, before.key, path, digest=before.digest)
            return
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        key = keys.release_file(self._grant.prefix, f"{digest[:16]}/{name}")
        stored = put_once(self._services.store, key, path)
        releases.record_file(
            self._services.engine,
            self._grant,
            path=name,
            key=key,
            digest=stored.digest,
            size_bytes=stored.size_bytes,
        )

    def store_rest(self, out: Path, release: Release) -> None:
        """Store what carries no mark of its own: feeds, records, EPUB, the report."""
        for file in release.all_files():
            self.keep(out / file.path, file.path)


def _approved(
    services: Services, grant: Grant, made: Release, out: Path, signs: Signatory
) -> Release:
    """Say in the release who approved it, by which consent, and who signs; put the report into it."""
    with Session(services.engine, expire_on_commit=False) as session:
        production = session.get_one(Production, grant.production_id)
        report = productions.last_report(session, production.id)
        consent = production.consent
        tokens = {
            chapter.number: tuple(
                take.tokens_digest for _, take in productions.chosen_takes(session, chapter.id)
            )
            for chapter in production.chapters
        }
        titles = {chapter.number: chapter.title for chapter in production.chapters}
        assert report is not None  # it was approved by its digest
    narrated = {chapter.number: chapter.content_sha256 for chapter in made.chapters}
    (out / REPORT_FILE).write_bytes(services.store.get(report.key, digest=report.digest))
    return made.model_copy(
        update={
            "status": "published",
            "companions": (file_entry(out, out / REPORT_FILE, "application/json"),),
            "approval": Approval(
                production=production.id,
                reviewer=grant.reviewer,
                decided_at=_utc(grant.approved_at),
                report_sha256=report.digest,
                order_sha256=production.digest,
                content_sha256=grant.content_digest,
                chapters=tuple(
                    ApprovedChapter(
                        number=number,
                        title=titles[number],
                        narrated_sha256=narrated[number],
                        tokens_sha256=tokens[number],
                    )
                    for number in sorted(titles)
                ),
            ),
            "consent": ConsentMark(
                document_sha256=consent.digest,
                scope=tuple(consent.scope),
                territories=tuple(consent.territories),
                valid_from=_utc(consent.valid_from),
                valid_until=_utc(consent.valid_until) if consent.valid_until else "",
            ),
            "territories": tuple(production.territories),
            "signer_sha256": signs.fingerprint,
        }
    )


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


@contextmanager
def _held(services: Services, grant: Grant) -> Iterator[None]:
    """Keep the token while inside; a lost token is found out by the next write."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(_BEAT_S):
            try:
                releases.heartbeat(services.engine, grant, token_s=TOKEN_S)
            except Exception:  # whatever it is, the token runs out and the next write says so
                return

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    except BaseException:
        _let_go(services, grant)
        raise
    finally:
        done.set()
        beating.join()


def _let_go(services: Services, grant: Grant) -> None:
    """Let others take over at once what this publisher could not finish."""
    try:
        releases.heartbeat(services.engine, grant, token_s=0)
    except Exception:  # it is lost already, or the database is away: then it runs out by itself
        return


def _publisher() -> str:
    return f"publish on {socket.gethostname()}, process {os.getpid()}"


# What is done with a release -------------------------------------------------------------------------


def withdraw(services: Services, production_id: int, *, actor: str, reason: str) -> str:
    """Withdraw a production's release and write the catalogue; returns the release's digest."""
    digest = releases.withdraw(
        services.engine, services.store, production_id, actor=actor, reason=reason
    )
    remove_feed(services, production_id)
    write_catalogue(services)
    return digest


def supersede(
    services: Services, production_id: int, by_production_id: int, *, actor: str, reason: str
) -> None:
    """Mark a release as replaced by another and write the catalogue."""
    releases.supersede(
        services.engine,
        production_id,
        by_production_id=by_production_id,
        actor=actor,
        reason=reason,
    )
    write_catalogue(services)


def links(services: Services, production_id: int, *, expires_s: int) -> dict[str, str]:
    """Return an address for each file of a release, signed where the store can, by path.

    Raises
    ------
    NotFound
        No release of the production stands.
    """
    standing = _standing_digest(services, production_id)
    prefix = keys.published(standing)
    found = sorted(one.key for one in services.store.list(prefix))
    return {key.removeprefix(prefix): services.store.url(key, expires_s=expires_s) for key in found}


def verify_stored(services: Services, digest: str, anchors: bytes) -> Verification:
    """Fetch a release by its digest and verify it."""
    prefix = keys.published(digest)
    with TemporaryDirectory(prefix="lectern-verify-") as place:
        folder = Path(place)
        for one in services.store.list(prefix):
            fetch(services.store, one.key, folder / one.key.removeprefix(prefix))
        return verify_release(folder, anchors, digest=digest)


def _standing_digest(services: Services, production_id: int) -> str:
    standing = releases.published(services.engine, production_id)
    if standing is None or standing.release_digest is None:
        raise NotFound(f"production {production_id} has no release that stands")
    return standing.release_digest


def verify_production(services: Services, production_id: int, anchors: bytes) -> Verification:
    """Fetch and verify a production's release; raises NotFound."""
    return verify_stored(services, _standing_digest(services, production_id), anchors)
