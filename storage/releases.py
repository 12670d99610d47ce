"""Publishing: the grant of a publish token, the files recorded under it, and the moment of publication.

A release is all or nothing. `grant` checks consent, approval and that nothing changed since, and gives a
token that fences every later step. Files are signed once, stored by conditional puts under the grant's own
prefix and recorded; whoever takes over reuses the recorded bytes. When all are final their digest is known:
`settle` gives them their places under `release/<digest>/`, where they are no release yet. The manifest goes
last, inside `finalise`, which checks everything again and holds the consent while the manifest is put: a
revocation waits, or comes first and stops it. Later a release can be superseded or withdrawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Engine, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from storage import keys
from storage.database import transaction
from storage.enrolment import PUBLICATION
from storage.errors import (
    ApprovalRefused,
    ConflictRefused,
    ConsentRefused,
    LeaseLost,
    TransitionRefused,
)
from storage.models import Consent, Manuscript, Production, Release, ReleaseFile, Review, Voice
from storage.objects import ObjectStore
from storage.productions import lock
from storage.states import ProductionState, ReleaseState

TOKEN_S = 300.0
"""How long a publish token holds without a heartbeat; afterwards another publisher may take over."""

FOREVER = "public, max-age=31536000, immutable"
"""Cache header of what lies under a digest: it never changes."""

CATALOGUE_LOCK = 0x6C656374
"""Advisory lock of those who write the catalogue."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The right to publish one production, as long as the token is the release's."""

    release_id: int
    production_id: int
    token: UUID
    content_digest: str
    prefix: str
    publisher: str
    reviewer: str
    approved_at: datetime


def grant(engine: Engine, production_id: int, *, publisher: str, token_s: float = TOKEN_S) -> Grant:
    """Grant a publish token for an approved production, or for one whose publisher fell silent.

    Parameters
    ----------
    engine : Engine
        Lectern's database.
    production_id : int
        What to publish.
    publisher : str
        Who publishes: the worker's or flow's name.
    token_s : float
        How long the token holds without a heartbeat, in seconds.

    Raises
    ------
    ConsentRefused
        The consent is revoked, lapsed or does not cover publication in the production's territories.
    ApprovalRefused
        Not approved; or the report, the decision or the content is not what was approved.
    TransitionRefused
        It is published already, or another publisher is at it, or its state does not allow it.
    """
    with transaction(engine, actor=publisher, reason="a publish token is granted") as session:
        production = lock(session, production_id)
        if production.state == ProductionState.PUBLISHING:
            release = _take_over(session, production)
        else:
            release = _begin(session, production)
        release.token = uuid4()
        release.granted_to = publisher
        release.token_until = _after(token_s)
        session.flush()
        review = session.get_one(Review, release.review_id)
        return Grant(
            release_id=release.id,
            production_id=production_id,
            token=release.token,
            content_digest=release.content_digest,
            prefix=release.prefix,
            publisher=publisher,
            reviewer=review.reviewer,
            approved_at=review.decided_at,
        )


def heartbeat(engine: Engine, grant: Grant, *, token_s: float = TOKEN_S) -> None:
    """Hold the token for another `token_s` seconds; raises LeaseLost where it is another's by now."""
    with transaction(engine, actor=grant.publisher, reason="still publishing") as session:
        _fenced(session, grant).token_until = _after(token_s)


def record_file(
    engine: Engine, grant: Grant, *, path: str, key: str, digest: str, size_bytes: int
) -> None:
    """Record a file that is stored, final and signed; recording the same again is no error.

    Raises
    ------
    LeaseLost
        The token is another publisher's by now, or the release was given up.
    ConflictRefused
        Another file was recorded under this path: use that one.
    """
    with transaction(engine, actor=grant.publisher, reason="a file is stored") as session:
        _fenced(session, grant)
        session.execute(
            insert(ReleaseFile)
            .values(
                release_id=grant.release_id,
                path=path,
                key=key,
                digest=digest,
                size_bytes=size_bytes,
            )
            .on_conflict_do_nothing(index_elements=["release_id", "path"])
        )
        there = session.get_one(ReleaseFile, (grant.release_id, path))
        if (there.key, there.digest, there.size_bytes) != (key, digest, size_bytes):
            raise ConflictRefused(
                f"{path} was stored before as {there.digest}: signed bytes are used again, not made anew"
            )


def recorded_files(engine: Engine, grant: Grant) -> Sequence[ReleaseFile]:
    """Return the files stored so far, by path: a publisher that takes over goes on from them."""
    return files_of(engine, grant.release_id)


def files_of(engine: Engine, release_id: int) -> Sequence[ReleaseFile]:
    """Return a release's files, by path."""
    with Session(engine) as session:
        return session.scalars(
            select(ReleaseFile)
            .where(ReleaseFile.release_id == release_id)
            .order_by(ReleaseFile.path)
        ).all()


def settle(
    engine: Engine,
    store: ObjectStore,
    grant: Grant,
    *,
    release_digest: str,
    content_types: Mapping[str, str],
) -> None:
    """Give the recorded files their places under the release's digest; doing it again is no error.

    The digest is written down first, so that what a killed publisher leaves there can be found.

    Parameters
    ----------
    engine, store : Engine, ObjectStore
        Lectern's database and the object store.
    grant : Grant
        The token.
    release_digest : str
        Digest over the final bytes.
    content_types : mapping
        Media type of each recorded file, by path.

    Raises
    ------
    LeaseLost
        The token is another publisher's by now.
    ConflictRefused
        The same recorded files had another digest before: this is not what was going to be published.
    """
    with transaction(engine, actor=grant.publisher, reason="all files are final") as session:
        release = _fenced(session, grant)
        if release.release_digest not in (None, release_digest):
            raise ConflictRefused(
                f"release {grant.release_id} was going to be {release.release_digest}, not"
                f" {release_digest}: give the grant up and publish anew"
            )
        release.release_digest = release_digest
    for file in recorded_files(engine, grant):
        store.copy(
            file.key,
            keys.published(release_digest, file.path),
            content_type=content_types[file.path],
            cache_control=FOREVER,
        )


@contextmanager
def finalise(
    engine: Engine, grant: Grant, *, manifest_path: str, release_digest: str
) -> Iterator[str]:
    """Publish what was settled: yields the manifest's key, to be put there, once, inside the `with`.

    Consent and approval are checked again and the consent is held until the manifest is there and the release
    is marked as published; if the `with` is left by an exception, nothing is published.

    Parameters
    ----------
    engine : Engine
        Lectern's database.
    grant : Grant
        The token.
    manifest_path : str
        The manifest's place under `release/<digest>/`.
    release_digest : str
        Digest over the final bytes, as settled.

    Raises
    ------
    LeaseLost, ConsentRefused, ApprovalRefused
        Before anything is put.
    TransitionRefused
        The files were not settled under this digest.
    """
    key = keys.published(release_digest, manifest_path)
    with transaction(engine, actor=grant.publisher, reason="the manifest is stored") as session:
        production = lock(session, grant.production_id)
        session.execute(
            select(Consent.id).where(Consent.id == production.consent_id).with_for_update(read=True)
        )
        release = _fenced(session, grant)
        _check(session, production, release)
        if release.release_digest != release_digest:
            raise TransitionRefused(f"the files of release {release.id} are not in their places")
        yield key
        for file in release.files:
            file.key = keys.published(release_digest, file.path)
        release.state = ReleaseState.PUBLISHED
        release.manifest_key = key
        release.published_at = func.now()
        session.flush()
        production.state = ProductionState.PUBLISHED


def clear_waiting(store: ObjectStore, grant: Grant) -> None:
    """Remove the files that waited under the grant's prefix, once the release is published."""
    for found in list(store.list(f"{grant.prefix}/")):
        store.delete(found.key)


def published(engine: Engine, production_id: int) -> Release | None:
    """Return the production's release that stands (published or superseded), if there is one."""
    with Session(engine, expire_on_commit=False) as session:
        return session.scalars(
            select(Release).where(
                Release.production_id == production_id,
                Release.state.in_((ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED)),
            )
        ).one_or_none()


def supersede(
    engine: Engine, production_id: int, *, by_production_id: int, actor: str, reason: str
) -> None:
    """Mark a production's release as replaced by another's; its files stay.

    Raises
    ------
    TransitionRefused
        Either has no published release, or they are the same.
    """
    with transaction(engine, actor=actor, reason=reason) as session:
        old, new = (_standing(session, one) for one in (production_id, by_production_id))
        if old.id == new.id:
            raise TransitionRefused("a release cannot supersede itself")
        old.state = ReleaseState.SUPERSEDED
        old.superseded_by = new.id


def withdraw(
    engine: Engine, store: ObjectStore, production_id: int, *, actor: str, reason: str
) -> str:
    """Withdraw a production's release: say so first, then remove manifest and files; returns its digest.

    Withdrawing again removes what a killed withdrawal left. The production can be published again.

    Raises
    ------
    TransitionRefused
        There never was a release to withdraw.
    """
    with transaction(engine, actor=actor, reason=reason) as session:
        lock(session, production_id)
        release = session.scalars(
            select(Release)
            .where(
                Release.production_id == production_id,
                Release.state.notin_((ReleaseState.GRANTED, ReleaseState.ABANDONED)),
            )
            .order_by(Release.id.desc())
            .limit(1)
            .with_for_update()
        ).one_or_none()
        if release is None or release.release_digest is None:
            raise TransitionRefused(f"production {production_id} has no release to withdraw")
        if release.state != ReleaseState.WITHDRAWN:
            release.state = ReleaseState.WITHDRAWN
            release.withdrawn_at = func.now()
        digest, manifest_key = release.release_digest, release.manifest_key
    if manifest_key:
        store.delete(manifest_key)
    _remove_published(store, digest)
    return digest


@dataclass(frozen=True, slots=True)
class Listed:
    """A release as the catalogue lists it."""

    release_id: int
    production_id: int
    title: str
    authors: tuple[str, ...]
    voice: str
    state: str
    digest: str
    published_at: datetime
    withdrawn_at: datetime | None
    superseded_by: str | None


@contextmanager
def listing(engine: Engine) -> Iterator[list[Listed]]:
    """Yield all releases ever published, newest first.

    One caller at a time: a catalogue written inside the `with` is never older than the last.
    """
    newer = aliased(Release)
    with Session(engine) as session, session.begin():
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CATALOGUE_LOCK})
        rows = session.execute(
            select(Release, Manuscript, Voice.name, newer.release_digest)
            .join(Production, Production.id == Release.production_id)
            .join(Manuscript, Manuscript.id == Production.manuscript_id)
            .join(Voice, Voice.id == Production.voice_id)
            .outerjoin(newer, newer.id == Release.superseded_by)
            .where(Release.published_at.is_not(None))
            .order_by(Release.published_at.desc(), Release.id.desc())
        ).all()
        yield [
            Listed(
                release_id=release.id,
                production_id=release.production_id,
                title=manuscript.title,
                authors=tuple(manuscript.authors),
                voice=voice,
                state=release.state,
                digest=release.release_digest,
                published_at=release.published_at,
                withdrawn_at=release.withdrawn_at,
                superseded_by=superseded_by,
            )
            for release, manuscript, voice, superseded_by in rows
        ]


def abandon(engine: Engine, grant: Grant, *, reason: str) -> None:
    """Give a grant up; the production is approved again, and its next grant begins a new release."""
    with transaction(engine, actor=grant.publisher, reason=reason) as session:
        production = lock(session, grant.production_id)
        _fenced(session, grant).state = ReleaseState.ABANDONED
        session.flush()
        production.state = ProductionState.APPROVED


def unfinished(engine: Engine) -> Sequence[int]:
    """Return the productions that wait to be published: approved and forgotten, or their publisher silent."""
    silent = select(Release.id).where(
        Release.production_id == Production.id,
        Release.state == ReleaseState.GRANTED,
        Release.token_until < func.now(),
    )
    with Session(engine) as session:
        return session.scalars(
            select(Production.id)
            .where(
                (Production.state == ProductionState.APPROVED)
                | ((Production.state == ProductionState.PUBLISHING) & silent.exists())
            )
            .order_by(Production.rank, Production.id)
        ).all()


def withdraw_unpublished(engine: Engine, store: ObjectStore) -> list[int]:
    """Remove what publishers left under a digest whose release was then given up, manifests above all.

    Returns the ids of those releases.
    """
    withdrawn = []
    live = aliased(Release)
    stands = select(live.id).where(
        live.release_digest == Release.release_digest, live.state != ReleaseState.ABANDONED
    )
    with Session(engine) as session:
        given_up = session.execute(
            select(Release.id, Release.release_digest).where(
                Release.state == ReleaseState.ABANDONED,
                Release.release_digest.is_not(None),
                ~stands.exists(),
            )
        ).all()
    for release_id, digest in given_up:
        if _remove_published(store, digest):
            withdrawn.append(release_id)
    return withdrawn


def _remove_published(store: ObjectStore, release_digest: str) -> int:
    """Remove everything under a digest; returns how many objects."""
    found = [one.key for one in store.list(keys.published(release_digest))]
    for key in found:
        store.delete(key)
    return len(found)


def _standing(session: Session, production_id: int) -> Release:
    release = session.scalars(
        select(Release)
        .where(Release.production_id == production_id, Release.state == ReleaseState.PUBLISHED)
        .with_for_update()
    ).one_or_none()
    if release is None:
        raise TransitionRefused(f"production {production_id} has no published release")
    return release


def _begin(session: Session, production: Production) -> Release:
    again = production.state == ProductionState.PUBLISHED and not _stands(session, production.id)
    if production.state != ProductionState.APPROVED and not again:
        raise TransitionRefused(
            f"production {production.id} is {production.state}, not approved: it cannot be published"
        )
    review = session.scalars(
        select(Review)
        .where(Review.production_id == production.id)
        .order_by(Review.id.desc())
        .limit(1)
    ).one()
    production.state = ProductionState.PUBLISHING
    session.flush()  # the database checks consent and approval here
    assert production.content_digest is not None
    release = Release(
        production_id=production.id,
        review_id=review.id,
        consent_id=production.consent_id,
        content_digest=production.content_digest,
        prefix="",
        token=uuid4(),
        granted_to="",
        token_until=func.now(),
    )
    session.add(release)
    session.flush()
    release.prefix = f"{keys.RELEASES}{release.id}"
    return release


def _stands(session: Session, production_id: int) -> bool:
    standing = Release.state.in_((ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED))
    found = select(Release.id).where(Release.production_id == production_id, standing)
    return session.scalar(select(found.exists())) or False


def _take_over(session: Session, production: Production) -> Release:
    release = session.scalars(
        select(Release)
        .where(Release.production_id == production.id, Release.state == ReleaseState.GRANTED)
        .with_for_update()
    ).one()
    if not session.scalar(select(literal(release.token_until) < func.now())):
        raise TransitionRefused(
            f"{release.granted_to} is publishing production {production.id};"
            f" its token holds until {release.token_until:%H:%M:%S}"
        )
    _check(session, production, release)
    return release


def _check(session: Session, production: Production, release: Release) -> None:
    """Check consent and approval as they are now, against what the release was granted for."""
    refusal, disapproval = session.execute(
        select(
            func.lectern_refusal(
                production.voice_id,
                production.consent_id,
                production.manuscript_id,
                production.territories,
                PUBLICATION,
            ),
            func.lectern_approval_refusal(production.id, release.content_digest),
        )
    ).one()
    if refusal is not None:
        raise ConsentRefused(f"production {production.id} is not published: {refusal}")
    if disapproval is not None or production.content_digest != release.content_digest:
        raise ApprovalRefused(disapproval or f"production {production.id} changed since its grant")


def _fenced(session: Session, grant: Grant) -> Release:
    release = session.get(Release, grant.release_id, with_for_update=True, populate_existing=True)
    if release is None or release.token != grant.token or release.state != ReleaseState.GRANTED:
        raise LeaseLost(
            f"the publish token of production {grant.production_id} is no longer held:"
            " another publisher took over, or the release was given up"
        )
    return release


def _after(seconds: float) -> datetime:
    moment: datetime = text("now() + :s * interval '1 second'").bindparams(s=seconds)  # type: ignore[assignment]
    return moment
