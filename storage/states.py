"""The states of everything that has states, and the only steps between them.

The database enforces the same tables by triggers (migrations 0002 and 0003); a test proves the two agree,
pair by pair.
"""

from enum import StrEnum


class VoiceState(StrEnum):
    """A voice: its prompt is here, is being removed, or is gone."""

    ENROLLED = "enrolled"
    ERASING = "erasing"
    ERASED = "erased"


class ConsentState(StrEnum):
    """A consent as the owner left it; its term is a matter of dates, not of state."""

    GIVEN = "given"
    REVOKED = "revoked"


class ProductionState(StrEnum):
    """A production on its way from submission to publication."""

    SUBMITTED = "submitted"  # waits for a night
    ADMITTED = "admitted"  # script and windows are being planned
    PRODUCING = "producing"  # its chapters and windows may be leased
    MASTERED = "mastered"  # every chapter is mastered, the report is not filed yet
    AWAITING_REVIEW = "awaiting_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    FAILED = "failed"  # dead work; `retry` takes it up again
    REFUSED = "refused"  # no valid consent
    CANCELLED = "cancelled"


class ChapterState(StrEnum):
    """A chapter: read window by window, then mastered once all its windows are accepted."""

    PLANNED = "planned"  # waits for a reader
    READING = "reading"  # its cursor is leased
    READ = "read"  # all windows read; they are rendered and judged
    ACCEPTED = "accepted"  # all windows accepted; waits for mastering
    MASTERING = "mastering"
    MASTERED = "mastered"
    DEAD = "dead"  # too many attempts, or one that cannot help


class WindowState(StrEnum):
    """A window: tokens first, then sound, then a verdict."""

    PLANNED = "planned"  # waits for its chapter's cursor
    READ = "read"  # has tokens; waits for rendering
    RENDERING = "rendering"
    RENDERED = "rendered"  # has sound; waits for a verdict
    JUDGING = "judging"
    ACCEPTED = "accepted"
    REDO = "redo"  # waits to be read again from its entry snapshot
    REREADING = "rereading"
    DEAD = "dead"


class ReleaseState(StrEnum):
    """A release: granted a publish token, then published or given up; in the end replaced or withdrawn."""

    GRANTED = "granted"
    PUBLISHED = "published"
    ABANDONED = "abandoned"
    SUPERSEDED = "superseded"  # still there; a newer one is to be used
    WITHDRAWN = "withdrawn"  # its files are gone from the store


class AccountState(StrEnum):
    """An account of the review app; a closed one may not log in."""

    ACTIVE = "active"
    CLOSED = "closed"


class Stage(StrEnum):
    """The kinds of work that are leased."""

    READING = "reading"
    REREADING = "rereading"
    RENDERING = "rendering"
    JUDGING = "judging"
    MASTERING = "mastering"


Steps = dict[str, tuple[str, ...]]

VOICE_STEPS: Steps = {"enrolled": ("erasing",), "erasing": ("erased",)}

CONSENT_STEPS: Steps = {"given": ("revoked",)}

PRODUCTION_STEPS: Steps = {
    "submitted": ("admitted", "failed", "refused", "cancelled"),
    "admitted": ("submitted", "producing", "failed", "refused", "cancelled"),
    "producing": ("mastered", "failed", "refused", "cancelled"),
    "mastered": ("awaiting_review", "producing", "failed", "refused", "cancelled"),
    "awaiting_review": ("approved", "rejected", "producing", "refused", "cancelled"),
    "approved": ("publishing", "producing", "rejected", "refused", "cancelled"),
    "rejected": ("approved", "producing", "refused", "cancelled"),
    "publishing": ("published", "approved", "refused"),
    "published": ("publishing",),  # once its release is withdrawn
    "failed": ("submitted", "producing", "refused", "cancelled"),
    "refused": ("submitted", "producing", "cancelled"),
}

CHAPTER_STEPS: Steps = {
    "planned": ("reading",),
    "reading": ("planned", "read", "dead"),
    "read": ("accepted",),
    "accepted": ("mastering", "read"),
    "mastering": ("accepted", "mastered", "dead"),
    "mastered": ("read",),
    "dead": ("planned", "accepted"),
}

WINDOW_STEPS: Steps = {
    "planned": ("read",),
    "read": ("rendering",),
    "rendering": ("read", "rendered", "dead"),
    "rendered": ("judging",),
    "judging": ("rendered", "accepted", "redo", "dead"),
    "accepted": ("redo",),
    "redo": ("rereading",),
    "rereading": ("redo", "read", "dead"),
    "dead": ("redo", "read", "rendered"),
}

RELEASE_STEPS: Steps = {
    "granted": ("published", "abandoned"),
    "published": ("superseded", "withdrawn"),
    "superseded": ("withdrawn",),
}

ACCOUNT_STEPS: Steps = {"active": ("closed",), "closed": ("active",)}

STEPS: dict[str, Steps] = {
    "voice": VOICE_STEPS,
    "consent": CONSENT_STEPS,
    "production": PRODUCTION_STEPS,
    "chapter": CHAPTER_STEPS,
    "window": WINDOW_STEPS,
    "release": RELEASE_STEPS,
    "account": ACCOUNT_STEPS,
}
"""All legal steps by table."""

STAGES: dict[Stage, tuple[str, str, str]] = {
    Stage.READING: ("chapter", "planned", "reading"),
    Stage.REREADING: ("window", "redo", "rereading"),
    Stage.RENDERING: ("window", "read", "rendering"),
    Stage.JUDGING: ("window", "rendered", "judging"),
    Stage.MASTERING: ("chapter", "accepted", "mastering"),
}
"""Table, ready state and busy state of each stage."""

ON_DEVICE = (Stage.READING, Stage.REREADING, Stage.RENDERING)
"""The stages whose results depend on how the machine rounds."""

OPEN_PRODUCTIONS = (
    ProductionState.SUBMITTED,
    ProductionState.ADMITTED,
    ProductionState.PRODUCING,
    ProductionState.MASTERED,
    ProductionState.AWAITING_REVIEW,
    ProductionState.APPROVED,
    ProductionState.REJECTED,
    ProductionState.PUBLISHING,
)
"""States in which a production lives on a consent: revoking it refuses the production."""

CLOSED_PRODUCTIONS = (ProductionState.PUBLISHED, ProductionState.CANCELLED)
"""States that no work leaves."""
