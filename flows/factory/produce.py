"""Produce: what follows when every chapter is mastered: content digest, report, and the wait for a person."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import text

from flows.services import Services
from generation.errors import LecternError
from qa.errors import QAError
from storage import keys, productions
from storage.database import transaction
from storage.objects import put_once
from storage.states import ProductionState

REPORT_LOCK = 0x6C65_6374
"""First half of the advisory lock of a production's report; the second is the production's id."""


def finish_ready(
    services: Services,
    actor: str,
    *,
    production_id: int | None = None,
    phase: Callable[[str], None] = lambda name: None,
) -> list[int]:
    """Finish and report on what is ready for it; returns the productions that now await review.

    Parameters
    ----------
    services : Services
        Database and object store.
    actor : str
        Who does it.
    production_id : int, optional
        The only production to look at; none: all.
    phase : callable
        Told by name what is done next.
    """
    with transaction(services.engine, actor=actor, reason="all chapters are mastered") as session:
        ready = list(productions.ready_to_finish(session))
        mastered = [one.id for one in productions.in_states(session, ProductionState.MASTERED)]
    found = [
        one for one in sorted({*ready, *mastered}) if production_id is None or one == production_id
    ]
    return [one for one in found if _finish(services, one, actor, phase)]


def _finish(
    services: Services, production_id: int, actor: str, phase: Callable[[str], None]
) -> bool:
    """Finish one production unless another worker is at it; returns whether it now awaits review."""
    with _alone(services, production_id) as alone:
        if not alone:
            return False
        reason = "all chapters are mastered"
        with transaction(services.engine, actor=actor, reason=reason) as session:
            production = productions.finish(session, production_id)
            if production.state != ProductionState.MASTERED:
                return False
        phase("reporting")
        from flows.factory.report import write_report  # the judges' models take seconds to import

        try:
            report = write_report(services, production_id)
        except (LecternError, QAError) as error:
            trouble = f"the report could not be made: {error}"
            with transaction(services.engine, actor=actor, reason=trouble) as session:
                productions.fail(session, production_id, trouble)
            return False
        data = report.to_json().encode("utf-8")
        stored = put_once(services.store, keys.report(production_id, keys.digest_of(data)), data)
        phase("filing")
        with transaction(services.engine, actor=actor, reason="the report is filed") as session:
            productions.file_report(
                session,
                production_id,
                digest=stored.digest,
                key=stored.key,
                verdict=report.verdict.value,
            )
        return True


@contextmanager
def _alone(services: Services, production_id: int) -> Iterator[bool]:
    """Hold the lock of a production's report, if it is free."""
    single = services.engine.execution_options(isolation_level="AUTOCOMMIT")
    both = {"lock": REPORT_LOCK, "id": production_id}
    with single.connect() as connection:
        free = connection.scalar(text("SELECT pg_try_advisory_lock(:lock, CAST(:id AS int))"), both)
        try:
            yield bool(free)
        finally:
            if free:
                connection.execute(text("SELECT pg_advisory_unlock(:lock, CAST(:id AS int))"), both)
