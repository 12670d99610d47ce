"""Planning: an admitted production's chapters become scripts and windows, once and for all."""

from functools import partial

from flows.factory.draft import spoken_credits
from flows.factory.intake import chosen
from flows.factory.patience import patiently
from flows.factory.studio import stored_book
from flows.services import Services
from generation.documents import script_bytes
from generation.errors import LecternError, ManuscriptError
from generation.manuscript.book import Chapter
from generation.narration import unit_arrays
from generation.script import write_script
from generation.script.lexicon import Lexicon
from generation.speechssm.reading import MAX_WINDOW_UNITS
from generation.windows import plan_windows
from storage import keys, productions
from storage.database import transaction
from storage.models import Production
from storage.objects import put_once
from storage.productions import ChapterPlan
from storage.states import ProductionState


def admit_and_plan(services: Services, production_id: int, *, actor: str) -> Production:
    """Admit a production out of turn and plan it; one that is further on stays where it is."""
    with transaction(services.engine, actor=actor, reason="wanted now") as session:
        production = productions.admit_one(session, production_id)
    if production.state == ProductionState.ADMITTED:
        production = plan(services, production_id, actor=actor)
    return production


def admit_next(services: Services, *, actor: str) -> Production | None:
    """Admit and plan the production that is first in the queue; none where none waits.

    One whose plan cannot be made is failed with the reason, and the next one is taken. A database or store
    that is away is waited for at each step, so that what was admitted is planned before another is.
    """
    while True:
        first = patiently(lambda: _admit_first(services, actor))
        if first is None:
            return None
        planned = patiently(partial(plan, services, first.id, actor=actor))
        if planned.state != ProductionState.FAILED:
            return planned


def _admit_first(services: Services, actor: str) -> Production | None:
    with transaction(services.engine, actor=actor, reason="its turn has come") as session:
        return productions.admit(session)


def plan(services: Services, production_id: int, *, actor: str) -> Production:
    """Write an admitted production's scripts and windows, and open them for work.

    A manuscript that cannot be planned fails the production: trying again cannot help.
    """
    try:
        chapters = _plans(services, production_id)
    except LecternError as error:
        with transaction(services.engine, actor=actor, reason=str(error)) as session:
            return productions.fail(session, production_id, str(error))
    with transaction(services.engine, actor=actor, reason="the plan is made") as session:
        return productions.plan(session, production_id, chapters)


def replan_admitted(services: Services, *, actor: str) -> list[int]:
    """Plan what was admitted by somebody who died before the plan was made; returns the ids."""
    with transaction(services.engine, actor=actor, reason="looks for unfinished plans") as session:
        left = [one.id for one in productions.in_states(session, ProductionState.ADMITTED)]
    for production_id in left:
        plan(services, production_id, actor=actor)
    return left


def _plans(services: Services, production_id: int) -> list[ChapterPlan]:
    with transaction(services.engine, actor="planner", reason="reads the order") as session:
        production = productions.get(session, production_id)
    book = stored_book(services, production.manuscript_id)
    settings = production.settings
    lexicon = Lexicon.parse(settings["lexicon"]) if settings.get("lexicon") else None
    chapters = chosen(book, settings.get("chapters", ""))
    if settings.get("credits"):
        chapters += spoken_credits(services, production_id)
    return [_plan(services, production_id, chapter, lexicon) for chapter in chapters]


def _plan(
    services: Services, production_id: int, chapter: Chapter, lexicon: Lexicon | None
) -> ChapterPlan:
    script = write_script(chapter, lexicon)
    units, starts = unit_arrays(script)
    windows = plan_windows(units.tolist(), starts.astype(bool).tolist())
    longest = max(window.end - window.start for window in windows)
    if longest > MAX_WINDOW_UNITS:
        raise ManuscriptError(
            f"chapter {chapter.number} ({chapter.title!r}) has a stretch of {longest} sounds without "
            f"a pause or a space; at most {MAX_WINDOW_UNITS} can be read at once: correct the text"
        )
    data = script_bytes(script)
    digest = keys.digest_of(data)
    stored = put_once(services.store, keys.script(production_id, chapter.number, digest), data)
    return ChapterPlan(
        number=chapter.number,
        title=chapter.title,
        words=chapter.words,
        script_key=stored.key,
        script_digest=stored.digest,
        spans=[(window.start, window.end) for window in windows],
    )
