"""`lectern narrate`: one book through the factory, here and now, from manuscript to a draft release.

It is an order like any other, worked on by this process alone until it awaits review. Run again after it
was ended in any way, it goes on from the last window that was finished.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from flows.factory.draft import package_draft
from flows.factory.intake import Narrator, Wish, submit
from flows.factory.plan import admit_and_plan
from flows.factory.shift import Shift
from flows.factory.studio import default_device, numerics_profile
from flows.factory.tally import Limits, Tally
from flows.services import Services
from generation.errors import NarrationError
from generation.packages import Release
from storage import productions
from storage.database import transaction
from storage.errors import ConsentRefused
from storage.models import Production
from storage.states import ProductionState, WindowState

ACTOR = "lectern narrate"

REPORT_S = 1.0
"""How often progress is looked up."""

_MADE = (
    ProductionState.AWAITING_REVIEW,
    ProductionState.APPROVED,
    ProductionState.REJECTED,
    ProductionState.PUBLISHING,
    ProductionState.PUBLISHED,
)


@dataclass(frozen=True)
class Narration:
    """A finished narration: the release, its production, and the report's verdict and digest.

    `takes_again` counts takes beyond the first of each window, `faulty` windows whose kept take has a fault;
    any of these makes the book need a look.
    """

    release: Release
    out: Path
    production_id: int
    content_digest: str
    verdict: str
    report_digest: str
    takes_again: int
    faulty: int


@dataclass(frozen=True)
class Progress:
    """How far a narration is: share of its windows that are accepted, and what is being done."""

    what: str
    share: float


def narrate(
    services: Services,
    manuscript: Path,
    narrator: Narrator,
    out: Path,
    wish: Wish | None = None,
    *,
    report: Callable[[Progress], None] = lambda progress: None,
    phase: Callable[[str], None] = lambda name: None,
) -> Narration:
    """Narrate a manuscript into a directory.

    Parameters
    ----------
    services : Services
        Where the work and its products are kept.
    manuscript, narrator, wish
        What is read, by whom and how.
    out : Path
        The directory of the draft release.
    report, phase : callable
        Told how far it is, and by name what is done next.

    Raises
    ------
    LecternError
        The manuscript, the selection, the lexicon or the output directory cannot be used, or a piece of the
        work failed time and again.
    ConsentRefused
        The voice or the text may not be used.
    """
    order = submit(services, manuscript, narrator, wish or Wish())
    _take_up(services, order)
    _refuse_another_machines(order)
    production = admit_and_plan(services, order.id, actor=ACTOR)
    teller = _Teller(services, order.id, report, phase)
    if production.state not in _MADE:
        limits = Limits(production_id=order.id)
        shift = Shift(services, limits, device=default_device(), phase=teller.phase)
        _made(services, order.id, shift.run(lambda: not _under_way(services, order.id)))
    report(Progress("packaging", 1.0))
    release = package_draft(services, order.id, out)
    return _narration(services, order.id, release, out)


def _take_up(services: Services, order: Production) -> None:
    """Take up an order that failed before: whoever runs the command again wants it tried again."""
    if order.state == ProductionState.FAILED:
        with transaction(services.engine, actor=ACTOR, reason="narrated again") as session:
            productions.retry(session, order.id)


def _refuse_another_machines(order: Production) -> None:
    """Raise NarrationError where machines that round otherwise have begun to make an order."""
    begun = order.state == ProductionState.PRODUCING and order.profile is not None
    if begun and order.profile != numerics_profile(default_device()).digest:
        raise NarrationError(
            f"production {order.id} is being made by a machine whose sound differs in its last bits: let that"
            f" machine finish it, or free it for this one with `lectern retry {order.id}`"
        )


def _under_way(services: Services, production_id: int) -> bool:
    with Session(services.engine) as session:
        state = productions.get(session, production_id).state
    return state in {ProductionState.PRODUCING, ProductionState.MASTERED}


def _made(services: Services, production_id: int, tally: Tally) -> None:
    """Raise what kept a production from being made, if anything did."""
    with Session(services.engine) as session:
        production = productions.get(session, production_id)
        state, trouble = production.state, production.trouble or "; ".join(tally.troubles)
    if state == ProductionState.REFUSED:
        raise ConsentRefused(f"the narration was stopped: {trouble}")
    if state not in _MADE:
        raise NarrationError(f"production {production_id} is {state}: {trouble}")


def _narration(services: Services, production_id: int, release: Release, out: Path) -> Narration:
    with Session(services.engine) as session:
        production = productions.get(session, production_id)
        report = productions.last_report(session, production_id)
        again = productions.takes_again(session, production_id)
        faulty = productions.faulty_windows(session, production_id)
    return Narration(
        release,
        out,
        production_id,
        production.content_digest or "",
        report.verdict if report else "inconclusive",
        report.digest if report else "",
        again,
        faulty,
    )


class _Teller:
    """Tells how far the production is, once a second."""

    def __init__(
        self,
        services: Services,
        production_id: int,
        report: Callable[[Progress], None],
        phase: Callable[[str], None],
    ) -> None:
        self._services, self._id, self._report, self._phase = services, production_id, report, phase
        self._told = 0.0

    def phase(self, name: str) -> None:
        self._phase(name)
        late = name in {"mastering", "reporting"}
        if not late and (name != "committing" or time.monotonic() < self._told + REPORT_S):
            return
        self._told = time.monotonic()
        with Session(self._services.engine) as session:
            progress = productions.progress(session, self._id)
        planned = sum(progress.windows.values())
        read = planned - progress.windows.get(WindowState.PLANNED, 0)
        share = (read + progress.done * planned) / (2 * planned) if planned else 0.0
        self._report(Progress(name if late else "narrating", share))
