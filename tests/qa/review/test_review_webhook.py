"""Notices of waiting reports, to a real HTTP server that checks their signatures."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic, sleep, time

import pytest
from reviewed_books import Made
from sqlalchemy import Engine, text

from qa.review.webhook import Crier, Webhook, tell_waiting

SECRET = "a shared secret"


@dataclass
class Receiver:
    """A server that keeps what it gets, and answers with the next of its statuses."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append((dict(self.headers.items()), body))
            self.send_response(kept.statuses.pop(0) if kept.statuses else 204)
            self.end_headers()

        def log_message(self, *what: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/lectern"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_waiting_report_is_told_once_and_signed(
    engine: Engine, book: Made, receiver: Receiver
) -> None:
    webhook = Webhook(receiver.url, SECRET, "https://review.example/")
    assert tell_waiting(engine, webhook) == 1
    assert tell_waiting(engine, webhook) == 0
    [(headers, body)] = receiver.got
    told = json.loads(body)
    assert told["event"] == "review.waiting" and told["report_digest"] == book.digest
    assert told["url"] == f"https://review.example/productions/{book.id}"
    assert headers["X-Lectern-Delivery"] == book.digest
    stamp = headers["X-Lectern-Timestamp"]
    assert abs(time() - int(stamp)) < 60
    wanted = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-Lectern-Signature"] == f"sha256={wanted}"
    assert SECRET not in repr(webhook)


def test_a_notice_that_failed_is_tried_again_later(
    engine: Engine, book: Made, receiver: Receiver
) -> None:
    webhook = Webhook(receiver.url, SECRET, "https://review.example")
    receiver.statuses = [503]
    assert tell_waiting(engine, webhook) == 0
    assert tell_waiting(engine, webhook) == 0  # not before a minute has passed
    assert len(receiver.got) == 1
    with engine.begin() as connection:
        trouble, waits = connection.execute(
            text("SELECT trouble, not_before > now() + interval '50 seconds' FROM notice")
        ).one()
        assert (trouble, waits) == ("the webhook answered 503", True)
        connection.execute(text("UPDATE notice SET not_before = now()"))
    assert tell_waiting(engine, webhook) == 1
    assert tell_waiting(engine, Webhook("http://127.0.0.1:1/", SECRET, "https://x")) == 0


def test_the_app_tells_while_it_runs(engine: Engine, book: Made, receiver: Receiver) -> None:
    crier = Crier(engine, Webhook(receiver.url, SECRET, "https://x"), every_s=0.05)
    crier.start()
    deadline = monotonic() + 60
    while not receiver.got and monotonic() < deadline:
        sleep(0.05)
    crier.stop()
    assert len(receiver.got) == 1
