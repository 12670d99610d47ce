"""Notices: which filed reports still wait to be told of, so that none is forgotten.

A notice is leased by moving its `not_before`; it is told at least once, and its report's digest lets the
receiver drop a repetition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from storage.models import Manuscript, Production, QaReport, Voice
from storage.review_tables import Notice
from storage.states import ProductionState

LEASE = "5 minutes"
"""How long one sender has for a batch before another may try."""

LONGEST_WAIT_MINUTES = 60
"""Most time between two attempts; the first ones wait 1, 2, 4 … minutes."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A production whose report waits for a reviewer."""

    qa_report_id: int
    production_id: int
    title: str
    voice: str
    verdict: str
    report_digest: str
    filed_at: datetime


def take_untold(session: Session, *, most: int = 20) -> Sequence[Waiting]:
    """Take productions that wait for a review and were not told of, for this sender alone for a while."""
    newest = select(func.max(QaReport.id)).group_by(QaReport.production_id)
    waiting = (
        select(QaReport.id)
        .join(Production, Production.id == QaReport.production_id)
        .where(Production.state == ProductionState.AWAITING_REVIEW, QaReport.id.in_(newest))
    )
    session.execute(upsert(Notice).from_select(["qa_report_id"], waiting).on_conflict_do_nothing())
    due = session.scalars(
        select(Notice.qa_report_id)
        .where(
            Notice.sent_at.is_(None),
            Notice.not_before <= func.now(),
            Notice.qa_report_id.in_(waiting),
        )
        .order_by(Notice.qa_report_id)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    session.execute(
        update(Notice)
        .where(Notice.qa_report_id.in_(due))
        .values(not_before=func.now() + text(f"interval '{LEASE}'"))
    )
    rows = session.execute(
        select(
            QaReport.id,
            Production.id,
            Manuscript.title,
            Voice.name,
            QaReport.verdict,
            QaReport.digest,
            QaReport.filed_at,
        )
        .join(Production, Production.id == QaReport.production_id)
        .join(Manuscript, Manuscript.id == Production.manuscript_id)
        .join(Voice, Voice.id == Production.voice_id)
        .where(QaReport.id.in_(due))
        .order_by(QaReport.id)
    )
    return [Waiting(*row) for row in rows]


def told(session: Session, qa_report_id: int) -> None:
    """Write down that a notice arrived."""
    session.execute(
        update(Notice)
        .where(Notice.qa_report_id == qa_report_id)
        .values(sent_at=func.now(), attempts=Notice.attempts + 1, trouble=None)
    )


def not_told(session: Session, qa_report_id: int, trouble: str) -> None:
    """Write down why a notice did not arrive, and when to try again."""
    wait = func.least(LONGEST_WAIT_MINUTES, func.power(2, Notice.attempts))
    session.execute(
        update(Notice)
        .where(Notice.qa_report_id == qa_report_id)
        .values(
            attempts=Notice.attempts + 1,
            trouble=trouble,
            not_before=func.now() + wait * text("interval '1 minute'"),
        )
    )
