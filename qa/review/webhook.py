"""Tells another program, by a signed request, that a report waits for a reviewer.

The body is JSON. `X-Lectern-Signature` is `sha256=` and the hexadecimal HMAC-SHA-256, under the shared
secret, of the timestamp, a full stop and the body; the timestamp stands in `X-Lectern-Timestamp` (seconds
since 1970), so that an old request cannot be sent again. `X-Lectern-Delivery` is the report's digest: the
same report may be told twice after a crash, and the receiver may drop the second.
"""

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Protocol

import httpx
from sqlalchemy import Engine

from storage import notices
from storage.database import transaction
from storage.notices import Waiting

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
POLL_S = 15.0
"""How often the app looks for reports that wait."""


class Notifier(Protocol):
    """Tells somebody of a waiting report; raises `NotTold` where that failed."""

    def tell(self, waiting: Waiting) -> None:
        """Tell of one report."""


class NotTold(Exception):
    """A notice did not arrive; the text says why."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver of notices.

    Attributes
    ----------
    url : where requests go
    secret : what they are signed with
    public_url : address of the review app, for links
    now : seconds since 1970
    """

    url: str
    secret: str
    public_url: str
    now: Callable[[], float] = time.time

    def __repr__(self) -> str:
        """Show the address only: representations end in logs."""
        return f"Webhook({self.url!r})"

    def tell(self, waiting: Waiting) -> None:
        """Send one request; anything but a 2xx answer is a failure."""
        body = json.dumps(
            {
                "event": "review.waiting",
                "production": waiting.production_id,
                "title": waiting.title,
                "voice": waiting.voice,
                "verdict": waiting.verdict,
                "report_digest": waiting.report_digest,
                "filed_at": waiting.filed_at.isoformat(),
                "url": f"{self.public_url.rstrip('/')}/productions/{waiting.production_id}",
            },
            ensure_ascii=False,
        ).encode()
        timestamp = str(int(self.now()))
        headers = {
            "Content-Type": "application/json",
            "X-Lectern-Timestamp": timestamp,
            "X-Lectern-Signature": f"sha256={signature(self.secret, timestamp, body)}",
            "X-Lectern-Delivery": waiting.report_digest,
        }
        try:
            answer = httpx.post(self.url, content=body, headers=headers, timeout=TIMEOUT_S)
        except httpx.HTTPError as error:
            raise NotTold(f"{type(error).__name__}: no answer from the webhook") from error
        if not answer.is_success:
            raise NotTold(f"the webhook answered {answer.status_code}")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the hexadecimal HMAC that a receiver must compute as well."""
    signed = timestamp.encode() + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def tell_waiting(engine: Engine, notifier: Notifier) -> int:
    """Tell of every waiting report that was not told of; returns how many arrived."""
    why = "a report waits for a reviewer"
    with transaction(engine, actor="review app", reason=why) as session:
        untold = notices.take_untold(session)
    arrived = 0
    for waiting in untold:
        try:
            notifier.tell(waiting)
        except NotTold as error:
            log.warning("production %d: %s", waiting.production_id, error)
            with transaction(engine, actor="review app", reason=why) as session:
                notices.not_told(session, waiting.qa_report_id, str(error))
        else:
            arrived += 1
            with transaction(engine, actor="review app", reason=why) as session:
                notices.told(session, waiting.qa_report_id)
    return arrived


class Crier:
    """A thread that tells of waiting reports while the app runs."""

    def __init__(self, engine: Engine, notifier: Notifier, every_s: float = POLL_S) -> None:
        self.engine = engine
        self.notifier = notifier
        self.every_s = every_s
        self._ended = Event()
        self._thread = Thread(target=self._run, name="crier", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is being sent."""
        self._ended.set()
        self._thread.join(TIMEOUT_S + 5)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                tell_waiting(self.engine, self.notifier)
            except Exception:
                log.exception("notices could not be sent; trying again")
            self._ended.wait(self.every_s)
