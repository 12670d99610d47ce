"""The tables, in the domain's words: from the voice that reads to the release that is published.

Columns hold facts and states; bytes are in the object store under the `*_key` columns, each beside
the SHA-256 of those bytes in `*_digest`. Triggers (migration 0002) guard every state change and
write the `event` rows, so the rules hold whoever writes. All times are the database's own.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from storage.states import (
    ChapterState,
    ConsentState,
    ProductionState,
    ReleaseState,
    VoiceState,
    WindowState,
)

Json = dict[str, Any]

DIGEST = r"'^[0-9a-f]{64}$'"
"""A SHA-256 in lower-case hexadecimal, as a PostgreSQL pattern."""


def _one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Base(DeclarativeBase):
    """Base of all tables: times with zone, and constraint names migrations can rely on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads it from the class)
        datetime: DateTime(timezone=True),
        str: Text(),
        int: BigInteger(),
        float: Double(),
        Decimal: Numeric(),
        list[str]: ARRAY(Text()),
        Json: JSONB(),
        list[Json]: JSONB(),
        UUID: Uuid(),
    }


NOW = text("now()")
EMPTY = text("'{}'")


class Voice(Base):
    """A narrator's voice: its prompt, content-addressed, and what was derived from it.

    `digest` is the SHA-256 of the prompt as it was given (of the voice's package, for a `latent`
    voice); it outlives the erasure of the prompt, so that the audit can say which voice was erased.
    """

    __tablename__ = "voice"
    __table_args__ = (
        CheckConstraint(_one_of("state", VoiceState), name="state"),
        CheckConstraint(_one_of("origin", ("house", "publisher")), name="origin"),
        CheckConstraint(f"digest ~ {DIGEST}", name="digest"),
        CheckConstraint(
            "state <> 'erased' OR (prompt_key IS NULL AND embeddings_key IS NULL"
            " AND erased_at IS NOT NULL)",
            name="erased_is_gone",
        ),
        Index("uq_voice_name", "name", unique=True, postgresql_where=text("state = 'enrolled'")),
        Index("uq_voice_digest", "digest", unique=True, postgresql_where=text("state <> 'erased'")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]
    digest: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=VoiceState.ENROLLED)
    origin: Mapped[str] = mapped_column(server_default="publisher")
    codec: Mapped[str]
    """Which codec speaks it: `soundstream` or `latent`."""
    prompt_key: Mapped[str | None]
    embeddings_key: Mapped[str | None]
    measures: Mapped[Json] = mapped_column(server_default=EMPTY)
    """What was measured of the prompt (length, level, noise), by name with the unit in it."""
    enrolled_at: Mapped[datetime] = mapped_column(server_default=NOW)
    erased_at: Mapped[datetime | None]

    consents: Mapped[list["Consent"]] = relationship(back_populates="voice", order_by="Consent.id")


class Consent(Base):
    """A consent record: whose voice it is, who signed, for what, where and how long.

    Only its revocation can ever be added; a renewed consent is a new row.
    """

    __tablename__ = "consent"
    __table_args__ = (
        CheckConstraint(_one_of("state", ConsentState), name="state"),
        CheckConstraint(f"digest ~ {DIGEST}", name="digest"),
        CheckConstraint("owner <> '' AND signatory <> ''", name="signed"),
        CheckConstraint("cardinality(scope) > 0", name="scope"),
        CheckConstraint("cardinality(territories) > 0", name="territories"),
        CheckConstraint("valid_until IS NULL OR valid_until > valid_from", name="term"),
        CheckConstraint("(state = 'revoked') = (revoked_at IS NOT NULL)", name="revocation"),
        UniqueConstraint("voice_id", "digest"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    voice_id: Mapped[int] = mapped_column(ForeignKey("voice.id"))
    owner: Mapped[str]
    signatory: Mapped[str]
    scope: Mapped[list[str]]
    """Uses consented to: `narration` (make audio), `publication` (release it)."""
    territories: Mapped[list[str]]
    """ISO 3166-1 alpha-2 codes, or `WORLD`."""
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    """First moment at which it no longer holds; none: until revoked."""
    digest: Mapped[str]
    """SHA-256 of the signed document."""
    document_key: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=ConsentState.GIVEN)
    recorded_at: Mapped[datetime] = mapped_column(server_default=NOW)
    revoked_at: Mapped[datetime | None]

    voice: Mapped[Voice] = relationship(back_populates="consents")


class Manuscript(Base):
    """A book as submitted: its bytes by digest, its metadata, and the rights in its text.

    The same bytes with the same metadata are one manuscript, however often they are submitted.
    """

    __tablename__ = "manuscript"
    __table_args__ = (
        CheckConstraint(f"digest ~ {DIGEST}", name="digest"),
        CheckConstraint(f"metadata_digest ~ {DIGEST}", name="metadata_digest"),
        CheckConstraint("words >= 0", name="words"),
        CheckConstraint(
            _one_of("rights_basis", ("public_domain", "licence", "owned")), name="rights_basis"
        ),
        CheckConstraint("cardinality(rights_territories) > 0", name="rights_territories"),
        UniqueConstraint("digest", "metadata_digest"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    digest: Mapped[str]
    source_key: Mapped[str]
    source_name: Mapped[str]
    media_type: Mapped[str]
    metadata_digest: Mapped[str]
    title: Mapped[str]
    authors: Mapped[list[str]]
    language: Mapped[str]
    isbn: Mapped[str] = mapped_column(server_default="")
    publisher: Mapped[str] = mapped_column(server_default="")
    credits: Mapped[Json] = mapped_column(server_default=EMPTY)
    cover_key: Mapped[str | None]
    words: Mapped[int] = mapped_column(server_default=text("0"))
    rights_holder: Mapped[str]
    rights_basis: Mapped[str]
    rights_territories: Mapped[list[str]]
    rights_until: Mapped[datetime | None]
    enrolled_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Production(Base):
    """One manuscript read by one voice with given settings and models: what a publisher asked for.

    `digest` identifies the order (manuscript, voice, settings, models, seed): an open production
    with the same digest is the same production, which is how a second `narrate` goes on where the
    first was killed.
    """

    __tablename__ = "production"
    __table_args__ = (
        CheckConstraint(_one_of("state", ProductionState), name="state"),
        CheckConstraint(f"digest ~ {DIGEST}", name="digest"),
        CheckConstraint(f"content_digest ~ {DIGEST}", name="content_digest"),
        CheckConstraint("priority BETWEEN -100 AND 100", name="priority"),
        CheckConstraint("cardinality(territories) > 0", name="territories"),
        Index(
            "uq_production_digest",
            "digest",
            unique=True,
            postgresql_where=text("state NOT IN ('cancelled', 'refused')"),
        ),
        Index("ix_production_state_rank", "state", "rank", "id"),
        Index("ix_production_consent", "consent_id", "state"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    manuscript_id: Mapped[int] = mapped_column(ForeignKey("manuscript.id"))
    voice_id: Mapped[int] = mapped_column(ForeignKey("voice.id"))
    consent_id: Mapped[int] = mapped_column(ForeignKey("consent.id"))
    digest: Mapped[str]
    settings: Mapped[Json] = mapped_column(server_default=EMPTY)
    model_digest: Mapped[str]
    """Digest of weights and of the numerics profile of the machine that submitted it."""
    profile: Mapped[str | None]
    """Digest of the numerics profile of the machines that make it: bound by the first that leases its work,
    and no other leases any.
    """
    weights: Mapped[Json] = mapped_column(server_default=EMPTY)
    """Weight files by name: `{"speechssm": {"key": …, "digest": …}}`, kept so that a repair can be
    made.
    """
    seed: Mapped[int] = mapped_column(server_default=text("0"))
    territories: Mapped[list[str]]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    due_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime] = mapped_column(server_default=NOW)
    rank: Mapped[datetime] = mapped_column(server_default=NOW)
    """Place in the queue, earliest first; set by trigger from submission, priority and due date."""
    state: Mapped[str] = mapped_column(server_default=ProductionState.SUBMITTED)
    trouble: Mapped[str | None]
    """Why it failed or was refused, in words; none otherwise."""
    words: Mapped[int] = mapped_column(server_default=text("0"))
    expected_audio_s: Mapped[float | None]
    expected_machine_s: Mapped[float | None]
    content_digest: Mapped[str | None]
    """Digest of the canonical unsigned products; none until every chapter is mastered."""
    state_changed_at: Mapped[datetime] = mapped_column(server_default=NOW)

    manuscript: Mapped[Manuscript] = relationship()
    voice: Mapped[Voice] = relationship()
    consent: Mapped[Consent] = relationship()
    chapters: Mapped[list["Chapter"]] = relationship(
        back_populates="production", order_by="Chapter.number"
    )


class Leased:
    """The columns of a lease: who works on a row, until when, and how often it was tried.

    `lease` counts the leases ever given; it is the fence that every write must carry. `rank` is the
    place in the queue and null where the row may not be leased (its production is not producing).
    """

    rank: Mapped[datetime | None]
    lease: Mapped[int] = mapped_column(server_default=text("0"))
    leased_by: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    not_before: Mapped[datetime | None]
    trouble: Mapped[str | None]


class Chapter(Leased, Base):
    """A chapter and its reading cursor: the next window, and the snapshot to read it from."""

    __tablename__ = "chapter"
    __table_args__ = (
        CheckConstraint(_one_of("state", ChapterState), name="state"),
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint("cursor BETWEEN 0 AND windows", name="cursor"),
        CheckConstraint("state IN ('planned', 'reading', 'dead') OR cursor = windows", name="read"),
        CheckConstraint(
            "(state IN ('reading', 'mastering')) = (leased_by IS NOT NULL)"
            " AND (leased_by IS NULL) = (lease_until IS NULL)",
            name="lease",
        ),
        CheckConstraint(
            "state <> 'mastered' OR (audio_key IS NOT NULL AND content_digest IS NOT NULL)",
            name="mastered",
        ),
        UniqueConstraint("production_id", "number"),
        Index("ix_chapter_queue", "state", "rank", "id"),
        Index(
            "ix_chapter_leased",
            "lease_until",
            postgresql_where=text("state IN ('reading', 'mastering')"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"))
    number: Mapped[int] = mapped_column(Integer)
    """Place in the source, counted from 1 over all chapters of any kind."""
    title: Mapped[str]
    words: Mapped[int] = mapped_column(server_default=text("0"))
    script_key: Mapped[str]
    script_digest: Mapped[str]
    windows: Mapped[int] = mapped_column(Integer)
    """How many windows it was planned into; never changes."""
    cursor: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Number of the next window to read, counted from 0; equals `windows` when all are read."""
    snapshot_key: Mapped[str | None]
    """Entry snapshot of the window at the cursor; none at the chapter's start."""
    snapshot_digest: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default=ChapterState.PLANNED)
    audio_key: Mapped[str | None]
    audio_digest: Mapped[str | None]
    times_key: Mapped[str | None]
    times_digest: Mapped[str | None]
    duration_s: Mapped[float | None]
    measures: Mapped[Json] = mapped_column(server_default=EMPTY)
    content_digest: Mapped[str | None]

    production: Mapped[Production] = relationship(back_populates="chapters")


class Window(Leased, Base):
    """A span of whole units between two sentence pauses; its number and span never change."""

    __tablename__ = "window"
    __table_args__ = (
        CheckConstraint(_one_of("state", WindowState), name="state"),
        CheckConstraint("number >= 0", name="number"),
        CheckConstraint("unit_start >= 0 AND unit_end > unit_start", name="span"),
        CheckConstraint(
            "(state IN ('rendering', 'judging', 'rereading')) = (leased_by IS NOT NULL)"
            " AND (leased_by IS NULL) = (lease_until IS NULL)",
            name="lease",
        ),
        CheckConstraint("state <> 'accepted' OR chosen_take IS NOT NULL", name="accepted"),
        UniqueConstraint("chapter_id", "number"),
        Index("ix_window_queue", "state", "rank", "id"),
        Index(
            "ix_window_leased",
            "lease_until",
            postgresql_where=text("state IN ('rendering', 'judging', 'rereading')"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"))
    chapter_id: Mapped[int] = mapped_column(ForeignKey("chapter.id"))
    number: Mapped[int] = mapped_column(Integer)
    """Place in the chapter, counted from 0."""
    unit_start: Mapped[int] = mapped_column(Integer)
    unit_end: Mapped[int] = mapped_column(Integer)
    take: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    """Number of the take being made, counted from 0."""
    chosen_take: Mapped[int | None] = mapped_column(SmallInteger)
    entry_snapshot_key: Mapped[str | None]
    """Snapshot it was first read from, for repairs; none for a chapter's first window."""
    entry_snapshot_digest: Mapped[str | None]
    directions: Mapped[Json] = mapped_column(server_default=EMPTY)
    """What a person asked to be said otherwise, by word."""
    state: Mapped[str] = mapped_column(server_default=WindowState.PLANNED)


class Take(Base):
    """One reading of a window: where it started, what it is made of, and what was measured."""

    __tablename__ = "take"
    __table_args__ = (
        CheckConstraint("number >= 0", name="number"),
        CheckConstraint(f"tokens_digest ~ {DIGEST}", name="tokens_digest"),
        CheckConstraint(f"audio_digest ~ {DIGEST}", name="audio_digest"),
        CheckConstraint(_one_of("verdict", ("pass", "fail", "inconclusive")), name="verdict"),
        CheckConstraint("verdict IS NULL OR audio_digest IS NOT NULL", name="judged_sound"),
        UniqueConstraint("window_id", "number"),
        Index("ix_take_production", "production_id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"))
    window_id: Mapped[int] = mapped_column(ForeignKey("window.id"))
    number: Mapped[int] = mapped_column(SmallInteger)
    seed: Mapped[Decimal]
    """Unsigned 64-bit seed, from content; numeric because PostgreSQL's bigint is signed."""
    entry_snapshot_key: Mapped[str | None]
    tokens_key: Mapped[str | None]
    tokens_digest: Mapped[str]
    audio_key: Mapped[str | None]
    audio_digest: Mapped[str | None]
    duration_s: Mapped[float | None]
    measures: Mapped[Json] = mapped_column(server_default=EMPTY)
    verdict: Mapped[str | None]
    read_by: Mapped[str]
    read_at: Mapped[datetime] = mapped_column(server_default=NOW)
    rendered_by: Mapped[str | None]
    rendered_at: Mapped[datetime | None]
    judged_at: Mapped[datetime | None]
    expired_at: Mapped[datetime | None]
    """When retention removed its bytes; the digests stay."""


class QaReport(Base):
    """A report as filed: one JSON document, named by its digest, about one content digest."""

    __tablename__ = "qa_report"
    __table_args__ = (
        CheckConstraint(f"digest ~ {DIGEST}", name="digest"),
        CheckConstraint(f"content_digest ~ {DIGEST}", name="content_digest"),
        CheckConstraint(_one_of("verdict", ("pass", "fail", "inconclusive")), name="verdict"),
        UniqueConstraint("production_id", "digest"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"))
    digest: Mapped[str]
    key: Mapped[str]
    content_digest: Mapped[str]
    verdict: Mapped[str]
    filed_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Review(Base):
    """A person's decision on one report, named by its digest; only ever followed by another."""

    __tablename__ = "review"
    __table_args__ = (
        CheckConstraint(_one_of("decision", ("approved", "rejected")), name="decision"),
        CheckConstraint("reviewer <> ''", name="reviewer"),
        Index("ix_review_production", "production_id", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"))
    qa_report_id: Mapped[int] = mapped_column(ForeignKey("qa_report.id"))
    report_digest: Mapped[str]
    decision: Mapped[str]
    reviewer: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    decided_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Release(Base):
    """A publication: its grant, the token that fences its writers, and what was published."""

    __tablename__ = "release"
    __table_args__ = (
        CheckConstraint(_one_of("state", ReleaseState), name="state"),
        CheckConstraint(f"content_digest ~ {DIGEST}", name="content_digest"),
        CheckConstraint(f"release_digest ~ {DIGEST}", name="release_digest"),
        CheckConstraint(
            "state IN ('granted', 'abandoned') OR (release_digest IS NOT NULL"
            " AND manifest_key IS NOT NULL AND published_at IS NOT NULL)",
            name="published",
        ),
        CheckConstraint("(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name="withdrawn"),
        CheckConstraint("state <> 'superseded' OR superseded_by IS NOT NULL", name="superseded"),
        Index(
            "uq_release_production",
            "production_id",
            unique=True,
            postgresql_where=text("state NOT IN ('abandoned', 'withdrawn')"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"))
    review_id: Mapped[int] = mapped_column(ForeignKey("review.id"))
    consent_id: Mapped[int] = mapped_column(ForeignKey("consent.id"))
    content_digest: Mapped[str]
    prefix: Mapped[str]
    """Where in the object store its files wait until all are final."""
    state: Mapped[str] = mapped_column(server_default=ReleaseState.GRANTED)
    token: Mapped[UUID]
    """Publish token: the fence on every write of this release; a new grant makes a new one."""
    granted_to: Mapped[str]
    granted_at: Mapped[datetime] = mapped_column(server_default=NOW)
    token_until: Mapped[datetime]
    release_digest: Mapped[str | None]
    manifest_key: Mapped[str | None]
    published_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    superseded_by: Mapped[int | None] = mapped_column(ForeignKey("release.id"))

    files: Mapped[list["ReleaseFile"]] = relationship(order_by="ReleaseFile.path")


class ReleaseFile(Base):
    """A file of a release, signed once; recorded when stored, so that a resume reuses it."""

    __tablename__ = "release_file"
    __table_args__ = (
        CheckConstraint(f"digest ~ {DIGEST}", name="digest"),
        CheckConstraint("size_bytes >= 0", name="size"),
    )

    release_id: Mapped[int] = mapped_column(ForeignKey("release.id"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    digest: Mapped[str]
    size_bytes: Mapped[int]
    recorded_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Event(Base):
    """The audit: every state change and removal, with who and why; rows are only ever added."""

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint("actor <> '' AND reason <> ''", name="who_and_why"),
        Index("ix_event_subject", "subject", "subject_id", "id"),
        Index("ix_event_production", "production_id", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    subject: Mapped[str]
    """Table the event is about."""
    subject_id: Mapped[int]
    production_id: Mapped[int | None]
    from_state: Mapped[str | None]
    to_state: Mapped[str | None]
    actor: Mapped[str]
    reason: Mapped[str]
    detail: Mapped[Json] = mapped_column(server_default=EMPTY)
