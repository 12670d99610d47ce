"""The tables of the review app: who may come in, what they heard, and what they said before deciding.

A decision itself is a `review` row of `storage.models`; these tables hold what leads to it. They follow the
same rules: records are only added, and every one of them makes an `event` that says who and why.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE
from sqlalchemy.orm import Mapped, mapped_column

from storage.models import DIGEST, NOW, Base, Json
from storage.states import AccountState

NOBODY_HEARD = text("'{}'::int4multirange")


class Role(StrEnum):
    """What an account is for."""

    PUBLISHER = "publisher"  # submits books and follows its own productions
    REVIEWER = "reviewer"  # listens, asks for new takes, decides
    OPERATOR = "operator"  # keeps the accounts and sees everything; decides nothing


class Account(Base):
    """A person who may log in; closed accounts stay, because the audit names them."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("role IN ('publisher', 'reviewer', 'operator')", name="role"),
        CheckConstraint("state IN ('active', 'closed')", name="state"),
        CheckConstraint("name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'", name="name"),
        UniqueConstraint("name"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    """Argon2id with its own salt and costs; never the password."""
    state: Mapped[str] = mapped_column(server_default=AccountState.ACTIVE)
    opened_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Login(Base):
    """A session of the review app: found by the digest of a token that only the browser holds."""

    __tablename__ = "login"
    __table_args__ = (
        CheckConstraint(f"token_digest ~ {DIGEST}", name="token_digest"),
        UniqueConstraint("token_digest"),
        Index("ix_login_account", "account_id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    token_digest: Mapped[str]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    csrf: Mapped[str]
    """What every unsafe request of this session must repeat."""
    opened_at: Mapped[datetime] = mapped_column(server_default=NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    ends_at: Mapped[datetime]


class LoginAttempt(Base):
    """An attempt to log in, written before the password is looked at, so that attempts can be counted."""

    __tablename__ = "login_attempt"
    __table_args__ = (
        Index("ix_login_attempt_address", "address", "at"),
        Index("ix_login_attempt_name", "name", "at"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]
    address: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    succeeded: Mapped[bool] = mapped_column(server_default=text("false"))


class Submission(Base):
    """Whose production it is: the publisher accounts that asked for it."""

    __tablename__ = "submission"

    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    submitted_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Claim(Base):
    """Who is at a production just now; a courtesy to colleagues, not a lock."""

    __tablename__ = "claim"

    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    claimed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    until: Mapped[datetime]


class Heard(Base):
    """What an account has heard of one master of a chapter, as milliseconds `[start, end)`."""

    __tablename__ = "heard"
    __table_args__ = (CheckConstraint(f"audio_digest ~ {DIGEST}", name="audio_digest"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    chapter_id: Mapped[int] = mapped_column(ForeignKey("chapter.id"), primary_key=True)
    audio_digest: Mapped[str] = mapped_column(primary_key=True)
    stretches: Mapped[Any] = mapped_column(INT4MULTIRANGE, server_default=NOBODY_HEARD)
    heard_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Note(Base):
    """What somebody wrote about a place in a chapter."""

    __tablename__ = "note"
    __table_args__ = (
        CheckConstraint("text <> ''", name="text"),
        CheckConstraint("at_s >= 0", name="at"),
        Index("ix_note_production", "production_id", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"))
    chapter_id: Mapped[int] = mapped_column(ForeignKey("chapter.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    audio_digest: Mapped[str]
    """The master it was heard in; times mean that one."""
    at_s: Mapped[float]
    text: Mapped[str]
    written_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Endorsement(Base):
    """A first approval where two people must approve; the second one's is the review."""

    __tablename__ = "endorsement"
    __table_args__ = (Index("ix_endorsement_report", "qa_report_id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"))
    qa_report_id: Mapped[int] = mapped_column(ForeignKey("qa_report.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    after_review_id: Mapped[int | None] = mapped_column(ForeignKey("review.id"))
    """The last decision when it was given: a later one (a rejection, say) makes it void."""
    note: Mapped[str] = mapped_column(server_default="")
    exceptions: Mapped[list[Json]] = mapped_column(server_default=text("'[]'"))
    endorsed_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ReviewException(Base):
    """The findings that an approval accepts although they fail, as the report names them."""

    __tablename__ = "review_exception"

    review_id: Mapped[int] = mapped_column(ForeignKey("review.id"), primary_key=True)
    findings: Mapped[list[Json]]
    unheard: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    """How many of the worst moments the reviewer had not heard and knew it."""


class Ballot(Base):
    """Two takes of a window in an order drawn by lot, and which one was preferred, unseen."""

    __tablename__ = "ballot"
    __table_args__ = (
        CheckConstraint("take_a <> take_b", name="two_takes"),
        CheckConstraint("preferred IN (take_a, take_b)", name="preferred"),
        CheckConstraint("preferred IS NULL OR voted_at IS NOT NULL", name="voted"),
        Index("ix_ballot_window", "window_id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    production_id: Mapped[int] = mapped_column(ForeignKey("production.id"))
    window_id: Mapped[int] = mapped_column(ForeignKey("window.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    take_a: Mapped[int] = mapped_column(SmallInteger)
    take_b: Mapped[int] = mapped_column(SmallInteger)
    preferred: Mapped[int | None] = mapped_column(SmallInteger)
    """Number of the preferred take; none after a vote: they are alike."""
    drawn_at: Mapped[datetime] = mapped_column(server_default=NOW)
    voted_at: Mapped[datetime | None]


class Notice(Base):
    """The message that a report waits for a reviewer: sent, or tried and why not."""

    __tablename__ = "notice"

    qa_report_id: Mapped[int] = mapped_column(ForeignKey("qa_report.id"), primary_key=True)
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    not_before: Mapped[datetime] = mapped_column(server_default=NOW)
    sent_at: Mapped[datetime | None]
    trouble: Mapped[str | None]
