"""The queue: what waits for a reviewer, what is being made, and what was decided."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from qa.review.access import Anyone, Colleague, Fields, Reviewer
from qa.review.desk import TheDesk
from qa.review.pages import done, page
from storage import productions, reviews
from storage.database import transaction
from storage.models import Event
from storage.review_tables import Role
from storage.reviews import Card
from storage.states import ProductionState

router = APIRouter()

WORK = {
    ProductionState.SUBMITTED,
    ProductionState.ADMITTED,
    ProductionState.PRODUCING,
    ProductionState.MASTERED,
}
STUCK = {ProductionState.FAILED, ProductionState.REFUSED}


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Productions by what is to be done with them."""

    waiting: list[Card]
    stuck: list[Card]
    in_work: list[Card]
    decided: list[Card]
    may_submit: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit."""

    at: str
    subject: str
    from_state: str | None
    to_state: str | None
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What happened to a production, newest first."""

    production_id: int
    title: str
    entries: list[Entry]


@router.get("/")
def queue(request: Request, desk: TheDesk, who: Anyone) -> Response:
    """Show the queue; publishers see what they submitted."""
    mine = who.account_id if who.role is Role.PUBLISHER else None
    with Session(desk.engine) as session:
        cards = reviews.cards(session, of_account=mine)
    waiting = [card for card in cards if card.state == ProductionState.AWAITING_REVIEW]
    stuck = [card for card in cards if card.state in STUCK]
    in_work = [card for card in cards if card.state in WORK]
    seen = {card.id for card in (*waiting, *stuck, *in_work)}
    decided = [card for card in reversed(cards) if card.id not in seen]
    may_submit = desk.factory is not None and who.role in {Role.PUBLISHER, Role.OPERATOR}
    return page(request, "queue.html", QueuePage(waiting, stuck, in_work, decided, may_submit))


@router.post("/productions/{production_id}/claim")
def claim(
    request: Request, desk: TheDesk, production_id: int, who: Reviewer, fields: Fields
) -> Response:
    """Claim a production, from a colleague if so asked."""
    take_over = bool(fields.get("take_over"))
    with transaction(desk.engine, actor=who.name, reason="claimed for review") as session:
        productions.get(session, production_id)
        holder = reviews.claim(session, production_id, who.account_id, take_over=take_over)
    mine = holder == who.name
    said = "It is yours for half an hour." if mine else f"{holder} is at it already."
    return done(request, f"/productions/{production_id}", said, claimed_by=holder)


@router.post("/productions/{production_id}/unclaim")
def unclaim(
    request: Request, desk: TheDesk, production_id: int, who: Reviewer, fields: Fields
) -> Response:
    """Give up one's claim."""
    with transaction(desk.engine, actor=who.name, reason="gave up the claim") as session:
        reviews.unclaim(session, production_id, who.account_id)
    return done(request, "/", "It is free for others.", claimed_by=None)


@router.get("/productions/{production_id}/audit")
def audit(request: Request, desk: TheDesk, production_id: int, who: Colleague) -> Response:
    """Show who did what to a production, and why."""
    with Session(desk.engine) as session:
        production = productions.get(session, production_id)
        entries = [_entry(event) for event in reviews.audit(session, production_id)]
        shown = AuditPage(production_id, production.manuscript.title, entries)
    return page(request, "audit.html", shown)


def _entry(event: Event) -> Entry:
    return Entry(
        at=event.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        subject=event.subject,
        from_state=event.from_state,
        to_state=event.to_state,
        actor=event.actor,
        reason=event.reason,
    )
