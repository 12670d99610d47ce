"""Voices and manuscripts brought in: content-addressed, deduplicated, with consent and text rights.

Objects are stored before the row that names them, so a row never names bytes that are not there. Enrolment
shares a lock that whoever deletes objects takes alone, so nothing is swept away between the two.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from storage import keys
from storage.database import DELETION_LOCK, transaction
from storage.errors import ConflictRefused, ConsentRefused, NotFound, Refused
from storage.models import Consent, Event, Manuscript, Production, Voice
from storage.objects import ObjectStore, put_once
from storage.states import ConsentState, VoiceState

WORLD = "WORLD"
"""The territory that covers all others."""

NARRATION = "narration"
PUBLICATION = "publication"
"""The uses a consent can cover: making the audio, and releasing it."""


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """What was signed: `document` is the signed paper or record itself, whose digest is kept."""

    owner: str
    signatory: str
    document: bytes
    scope: tuple[str, ...] = (NARRATION, PUBLICATION)
    territories: tuple[str, ...] = (WORLD,)
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TextRights:
    """Who holds the text, on what basis we may read it (`public_domain`, `licence`, `owned`), and where."""

    holder: str
    basis: str
    territories: tuple[str, ...] = (WORLD,)
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """A book's metadata, as it shall stand in the release."""

    title: str
    authors: tuple[str, ...]
    language: str
    isbn: str = ""
    publisher: str = ""
    credits: Mapping[str, Any] = field(default_factory=dict)
    words: int = 0


def canonical_digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value in its one canonical form (sorted keys, UTF-8, no spaces)."""
    written = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return keys.digest_of(written.encode("utf-8"))


def enrol_voice(
    engine: Engine,
    store: ObjectStore,
    *,
    name: str,
    prompt: bytes,
    codec: str,
    terms: ConsentTerms,
    actor: str,
    origin: str = "publisher",
    embeddings: bytes | None = None,
    measures: Mapping[str, Any] | None = None,
) -> Voice:
    """Enrol a voice with its consent; the same prompt is the same voice, the same document the same consent.

    Parameters
    ----------
    engine, store : Engine, ObjectStore
        Where rows and bytes go.
    name : str
        What the voice is called; one name, one enrolled voice.
    prompt : bytes
        The prompt as it was given (a `latent` voice's package manifest).
    codec : str
        `soundstream` or `latent`.
    terms : ConsentTerms
        The consent it stands on.
    actor : str
        Who enrols it.
    origin : str
        `publisher` or `house`.
    embeddings : bytes, optional
        What was derived from the prompt to recognise the voice; erased with it.
    measures : mapping, optional
        What was measured of the prompt, units in the names.

    Raises
    ------
    ConflictRefused
        Where the name is another voice's, or this voice is just being erased.
    """
    digest = keys.digest_of(prompt)
    with transaction(engine, actor=actor, reason=f"voice '{name}' is enrolled") as session:
        _lock_shared(session)
        voice = _voice_of(session, digest)
        if voice is None:
            prompt_key = put_once(store, keys.voice(digest, "prompt"), prompt).key
            embeddings_key = None
            if embeddings is not None:
                embeddings_key = put_once(store, keys.voice(digest, "embeddings"), embeddings).key
            voice = _add_voice(
                session,
                name=name,
                digest=digest,
                codec=codec,
                origin=origin,
                prompt_key=prompt_key,
                embeddings_key=embeddings_key,
                measures=dict(measures or {}),
            )
        _add_consent(session, store, voice, terms)
        session.refresh(voice)
        _ = voice.consents
        return voice


def renew_consent(
    engine: Engine, store: ObjectStore, *, voice_id: int, terms: ConsentTerms, actor: str
) -> Consent:
    """Add another consent to an enrolled voice (a longer term, more territories)."""
    with transaction(engine, actor=actor, reason="consent is renewed") as session:
        _lock_shared(session)
        return _add_consent(session, store, _voice(session, voice_id), terms)


def revoke_consents(
    engine: Engine, *, voice_id: int, actor: str, reason: str, consent_id: int | None = None
) -> list[int]:
    """Revoke a voice's consents, or one of them; returns the ids of those revoked now.

    Every production that lives on them is refused in the same transaction, its leases are void, and a granted
    publish token with them. What is published already stays, as the audit shows.
    """
    with transaction(engine, actor=actor, reason=reason) as session:
        return _revoke(session, _voice(session, voice_id).id, consent_id)


def erase_voice(
    engine: Engine, store: ObjectStore, *, voice_id: int, actor: str, reason: str
) -> Voice:
    """Revoke all consents of a voice and remove its prompt and what was derived from it for good.

    Erasure is three steps that can be killed anywhere and taken up again by `finish_erasures`: the voice is
    marked as being erased, its objects are deleted, and the row forgets their keys. The digest, the consents
    and the audit stay, to say what was erased, by whom and why. Erasing an erased voice does nothing.
    """
    with transaction(engine, actor=actor, reason=reason) as session:
        voice = _voice(session, voice_id)
        _revoke(session, voice.id, None)
        if voice.state == VoiceState.ENROLLED:
            voice.state = VoiceState.ERASING
    _finish_erasure(engine, store, voice_id, actor, reason)
    with Session(engine, expire_on_commit=False) as session:
        return _voice(session, voice_id)


def finish_erasures(engine: Engine, store: ObjectStore, *, actor: str) -> list[int]:
    """Finish erasures that were begun and not finished; returns the voices' ids."""
    with Session(engine) as session:
        begun = list(session.scalars(select(Voice.id).where(Voice.state == VoiceState.ERASING)))
    for voice_id in begun:
        _finish_erasure(engine, store, voice_id, actor, "an erasure begun before is finished")
    return begun


def enrol_manuscript(
    engine: Engine,
    store: ObjectStore,
    *,
    source: bytes | Path,
    source_name: str,
    media_type: str,
    metadata: Metadata,
    rights: TextRights,
    actor: str,
    cover: bytes | None = None,
) -> Manuscript:
    """Enrol a book; the same bytes with the same metadata, cover and rights are the same manuscript.

    Parameters
    ----------
    engine, store : Engine, ObjectStore
        Where rows and bytes go.
    source : bytes or Path
        The file as submitted.
    source_name, media_type : str
        What it was called, and what it is.
    metadata : Metadata
        Title, authors and the rest.
    rights : TextRights
        Why we may read it aloud.
    actor : str
        Who submits it.
    cover : bytes, optional
        The cover image.
    """
    data = source.read_bytes() if isinstance(source, Path) else source
    digest = keys.digest_of(data)
    with transaction(engine, actor=actor, reason=f"'{metadata.title}' is enrolled") as session:
        _lock_shared(session)
        source_key = put_once(store, keys.manuscript(digest), data).key
        cover_key = None
        if cover is not None:
            cover_key = put_once(store, keys.manuscript(keys.digest_of(cover)), cover).key
        facts = {
            "title": metadata.title,
            "authors": list(metadata.authors),
            "language": metadata.language,
            "isbn": metadata.isbn,
            "publisher": metadata.publisher,
            "credits": dict(metadata.credits),
            "cover_key": cover_key,
            "rights_holder": rights.holder,
            "rights_basis": rights.basis,
            "rights_territories": list(rights.territories),
        }
        until = rights.until.astimezone(UTC).isoformat() if rights.until else None
        metadata_digest = canonical_digest({**facts, "rights_until": until})
        session.execute(
            insert(Manuscript)
            .values(
                digest=digest,
                metadata_digest=metadata_digest,
                source_key=source_key,
                source_name=source_name,
                media_type=media_type,
                words=metadata.words,
                rights_until=rights.until,
                **facts,
            )
            .on_conflict_do_nothing(index_elements=["digest", "metadata_digest"])
        )
        return session.scalars(
            select(Manuscript).where(
                Manuscript.digest == digest, Manuscript.metadata_digest == metadata_digest
            )
        ).one()


def store_weights(
    engine: Engine, store: ObjectStore, files: Mapping[str, Path]
) -> dict[str, dict[str, str]]:
    """Store weight files by digest; returns what goes into a production's `weights`."""
    stored = {}
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:k)"), {"k": DELETION_LOCK})
        for name, path in sorted(files.items()):
            digest = keys.file_digest_of(path)
            put_once(store, keys.weights(digest), path)
            stored[name] = {"key": keys.weights(digest), "digest": digest}
    return stored


def voice_named(session: Session, name: str) -> Voice:
    """Return the enrolled voice of that name; raises NotFound with the names there are."""
    found = session.scalars(
        select(Voice).where(Voice.name == name, Voice.state == VoiceState.ENROLLED)
    ).one_or_none()
    if found is None:
        names = session.scalars(
            select(Voice.name).where(Voice.state == VoiceState.ENROLLED).order_by(Voice.name)
        )
        raise NotFound(f"no voice is called '{name}'; there are: {', '.join(names) or 'none yet'}")
    return found


def valid_consent(session: Session, voice: Voice, purpose: str) -> Consent:
    """Return the newest consent of a voice that covers `purpose` at this moment.

    Where and for which text it may be used is judged with the order (`productions.submit`).

    Raises
    ------
    ConsentRefused
        There is none: never given, revoked, not begun, lapsed, or for other uses.
    """
    now = session.execute(select(func.now())).scalar_one()
    why = "there is no consent"
    for consent in reversed(voice.consents):
        if consent.state != ConsentState.GIVEN:
            fault = "the consent was revoked"
        elif purpose not in consent.scope:
            fault = f"the consent does not cover {purpose}"
        elif now < consent.valid_from:
            fault = f"the consent begins on {consent.valid_from:%Y-%m-%d}"
        elif consent.valid_until is not None and now >= consent.valid_until:
            fault = f"the consent ended on {consent.valid_until:%Y-%m-%d}"
        else:
            return consent
        why = fault if why == "there is no consent" else why
    raise ConsentRefused(f"voice '{voice.name}' cannot be used for this: {why}")


def voices(session: Session) -> Sequence[Voice]:
    """Return all voices, erased ones too, by name."""
    return session.scalars(select(Voice).order_by(Voice.name, Voice.id)).all()


def _lock_shared(session: Session) -> None:
    session.execute(select(func.pg_advisory_xact_lock_shared(DELETION_LOCK)))


def _voice(session: Session, voice_id: int) -> Voice:
    voice = session.get(Voice, voice_id)
    if voice is None:
        raise NotFound(f"there is no voice {voice_id}")
    return voice


def _voice_of(session: Session, digest: str) -> Voice | None:
    voice = session.scalars(
        select(Voice).where(Voice.digest == digest, Voice.state != VoiceState.ERASED)
    ).one_or_none()
    if voice is not None and voice.state == VoiceState.ERASING:
        raise ConflictRefused(f"voice '{voice.name}' is being erased; enrol it again afterwards")
    return voice


def _add_voice(session: Session, *, name: str, digest: str, **facts: Any) -> Voice:
    taken = session.scalars(
        select(Voice).where(Voice.name == name, Voice.state == VoiceState.ENROLLED)
    ).one_or_none()
    if taken is not None and taken.digest != digest:
        raise ConflictRefused(f"another voice is called '{name}'; choose another name")
    session.execute(
        insert(Voice)
        .values(name=name, digest=digest, **facts)
        .on_conflict_do_nothing()  # somebody else enrols this prompt, or name, at this moment
    )
    made = session.scalars(
        select(Voice).where(Voice.digest == digest, Voice.state == VoiceState.ENROLLED)
    ).one_or_none()
    if made is None:
        raise ConflictRefused(f"another voice is called '{name}'; choose another name")
    return made


def _add_consent(
    session: Session, store: ObjectStore, voice: Voice, terms: ConsentTerms
) -> Consent:
    if voice.state != VoiceState.ENROLLED:
        raise Refused(f"voice '{voice.name}' is {voice.state}: nobody can consent to its use")
    digest = keys.digest_of(terms.document)
    document_key = put_once(store, keys.consent(digest), terms.document).key
    facts = {k: v for k, v in asdict(terms).items() if k != "document"}
    facts["valid_from"] = terms.valid_from or func.now()
    session.execute(
        insert(Consent)
        .values(voice_id=voice.id, digest=digest, document_key=document_key, **facts)
        .on_conflict_do_nothing(index_elements=["voice_id", "digest"])
    )
    found = Consent.voice_id == voice.id, Consent.digest == digest
    return session.scalars(select(Consent).where(*found)).one()


def _revoke(session: Session, voice_id: int, consent_id: int | None) -> list[int]:
    given = [Consent.voice_id == voice_id, Consent.state == ConsentState.GIVEN]
    if consent_id is not None:
        given.append(Consent.id == consent_id)
    ids = list(session.scalars(select(Consent.id).where(*given)))
    # The productions first, as every other transaction does, so that none waits for another in a circle.
    session.execute(
        select(Production.id)
        .where(Production.consent_id.in_(ids))
        .order_by(Production.id)
        .with_for_update()
    )
    locked = session.scalars(
        select(Consent).where(Consent.id.in_(ids)).order_by(Consent.id).with_for_update()
    )
    revoked = [consent for consent in locked if consent.state == ConsentState.GIVEN]
    for consent in revoked:
        consent.state = ConsentState.REVOKED
        consent.revoked_at = func.now()
    session.flush()
    return [consent.id for consent in revoked]


def _finish_erasure(
    engine: Engine, store: ObjectStore, voice_id: int, actor: str, reason: str
) -> None:
    with transaction(engine, actor=actor, reason=reason) as session:
        session.execute(select(func.pg_advisory_xact_lock(DELETION_LOCK)))
        voice = session.get(Voice, voice_id, with_for_update=True)
        if voice is None or voice.state != VoiceState.ERASING:
            return
        derived = _prompts_in_productions(session, voice.id)
        removed = [
            key for key in (voice.prompt_key, voice.embeddings_key, *derived) if key is not None
        ]
        for key in removed:
            store.delete(key)
        voice.state = VoiceState.ERASED
        voice.prompt_key = voice.embeddings_key = None
        voice.measures = {}
        voice.erased_at = func.now()
        session.add(
            Event(
                subject="voice",
                subject_id=voice.id,
                actor=actor,
                reason=reason,
                detail={"removed": removed, "digest": voice.digest},
            )
        )


def _prompts_in_productions(session: Session, voice_id: int) -> list[str]:
    """Take the voice's prompt out of its productions' weights; returns the keys it lay under."""
    mine = {"voice_id": voice_id}
    found = session.scalars(
        text(
            "SELECT DISTINCT weights -> 'prompt' ->> 'key' AS key FROM production"
            " WHERE voice_id = :voice_id AND weights ? 'prompt' ORDER BY key"
        ),
        mine,
    ).all()
    session.execute(
        text(
            "UPDATE production SET weights = weights - 'prompt'"
            " WHERE voice_id = :voice_id AND weights ? 'prompt'"
        ),
        mine,
    )
    return list(found)
