"""Deciding: approve, approve with exceptions, or reject with a note."""

import logging
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask
from starlette.responses import Response

from qa.review.access import Fields, Reviewer
from qa.review.desk import Desk, Factory, TheDesk
from qa.review.pages import done
from qa.review.production import places, seen
from qa.review.reports import Place
from storage import accounts, listening, productions, reviews
from storage.accounts import Visitor
from storage.database import transaction
from storage.errors import Refused, ReviewOutdated
from storage.review_tables import Endorsement

router = APIRouter()
log = logging.getLogger(__name__)


class Choice(StrEnum):
    """What may be decided."""

    APPROVE = "approve"
    WITH_EXCEPTIONS = "approve_with_exceptions"
    REJECT = "reject"


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _number_or_none(value: Any) -> Any:
    return None if value in ("", None) else value


class DecisionForm(BaseModel):
    """A decision: on what was read, and what is known not to have been heard."""

    model_config = ConfigDict(extra="ignore")

    choice: Choice
    report_digest: str
    seen_review_id: Annotated[int | None, BeforeValidator(_number_or_none)] = None
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)] = ""
    accept: Annotated[list[str], BeforeValidator(_several)] = []
    unheard_known: bool = False


@router.post("/productions/{production_id}/decision")
def decide(
    request: Request, desk: TheDesk, production_id: int, who: Reviewer, fields: Fields
) -> Response:
    """Write a decision; an approval wants the worst moments heard and every failure accepted by name."""
    form = DecisionForm.model_validate(fields)
    moments = _moments(desk, who, production_id, form)
    accepted = _checked(form, moments)
    unheard = sum(not place.heard for place in moments)
    approved = form.choice is not Choice.REJECT
    decision = reviews.Decision(
        report_digest=form.report_digest,
        seen_review_id=form.seen_review_id,
        approved=approved,
        note=form.note,
        exceptions=[_finding(place) for place in accepted],
        unheard=unheard if approved else 0,
    )
    why = f"{form.choice.value.replace('_', ' ')}: {form.note}" if form.note else form.choice.value
    with transaction(desk.engine, actor=who.name, reason=why) as session:
        written = reviews.decide(
            session,
            production_id,
            accounts.locked(session, who.account_id),
            decision,
            four_eyes=desk.options.four_eyes,
        )
    if isinstance(written, Endorsement):
        said = "Your approval is kept; a second person must approve now."
        return done(request, f"/productions/{production_id}", said, decision="endorsed")
    answer = done(
        request,
        f"/productions/{production_id}",
        f"It is {written.decision}.",
        decision=written.decision,
        review_id=written.id,
    )
    if approved and desk.factory is not None:
        answer.background = BackgroundTask(_follow, desk.factory, production_id)
    return answer


def _moments(desk: Desk, who: Visitor, production_id: int, form: DecisionForm) -> list[Place]:
    """Return the moments of the report that is decided on, as this account heard them."""
    with Session(desk.engine) as session:
        seen(session, who, production_id)
        row = productions.last_report(session, production_id)
        if row is None or row.digest != form.report_digest:
            raise ReviewOutdated("there is another report by now: read it, then decide")
        heard = listening.heard(session, account_id=who.account_id, production_id=production_id)
    return places(desk.documents.report(row), heard)


def _checked(form: DecisionForm, moments: list[Place]) -> list[Place]:
    """Return the accepted failures; raises Refused where the decision lacks something."""
    if form.choice is Choice.REJECT:
        if not form.note:
            raise Refused("say in a note why you reject it, so that it can be mended")
        return []
    failed = [place for place in moments if place.failed]
    accepted = [place for place in failed if place.key in form.accept]
    if form.choice is Choice.APPROVE and failed:
        raise Refused(
            f"{len(failed)} places failed: have them read again, or approve with exceptions"
        )
    if len(accepted) < len(failed):
        left = len(failed) - len(accepted)
        raise Refused(
            f"{left} of {len(failed)} failed places are not accepted: tick each, or redo it"
        )
    if form.choice is Choice.WITH_EXCEPTIONS and not form.note:
        raise Refused("say in a note why the exceptions are acceptable")
    unheard = sum(not place.heard for place in moments)
    if unheard and not form.unheard_known:
        raise Refused(
            f"you have not heard {unheard} of the {len(moments)} worst moments: hear them first,"
            " or tick that you know"
        )
    return accepted


def _finding(place: Place) -> dict[str, Any]:
    return {
        "chapter": place.chapter,
        "start_s": place.start_s,
        "end_s": place.end_s,
        "reasons": place.reasons,
    }


def _follow(factory: Factory, production_id: int) -> None:
    """Start what follows; a failure is no loss, because approved productions are looked for anyway."""
    try:
        factory.approved(production_id)
    except Exception:
        log.exception("what follows the approval of production %d did not start", production_id)
