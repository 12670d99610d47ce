"""Notices of waiting reports by mail, to a real SMTP server."""

import socket
import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from reviewed_books import Made
from sqlalchemy import Engine, text

from qa.review.mail import Mail, Security, Several
from qa.review.webhook import Webhook, tell_waiting

PASSWORD = "a mailbox's password"


class Mailbox:
    """Keeps what the server takes; refuses receivers of another house."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not address.endswith("@house.example"):
            return "550 no such receiver here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        return "250 taken"


def _login(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: LoginPassword
) -> AuthResult:
    return AuthResult(success=given.password.decode() == PASSWORD, handled=False)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port(mailbox: Mailbox) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    server = Controller(
        mailbox, hostname="127.0.0.1", port=number, authenticator=_login, auth_require_tls=False
    )
    server.start()
    yield number
    server.stop()


def mail(port: int, *receivers: str, password: str = PASSWORD) -> Mail:
    return Mail(
        host="127.0.0.1",
        port=port,
        sender="lectern@house.example",
        receivers=receivers or ("rita@house.example", "rolf@house.example"),
        public_url="https://review.example/",
        security=Security.NONE,
        user="lectern",
        password=password,
    )


def test_a_waiting_report_is_mailed_once(
    engine: Engine, book: Made, mailbox: Mailbox, port: int
) -> None:
    assert tell_waiting(engine, mail(port)) == 1
    assert tell_waiting(engine, mail(port)) == 0
    [message] = mailbox.got
    assert message["To"] == "rita@house.example, rolf@house.example"
    assert message["Message-ID"] == f"<{book.digest}@review.example>"
    assert f"https://review.example/productions/{book.id}" in message.get_content()
    assert "fail" in message["Subject"]
    assert PASSWORD not in repr(mail(port))


def test_a_mail_that_was_not_taken_is_tried_again(
    engine: Engine, book: Made, mailbox: Mailbox, port: int
) -> None:
    def trouble() -> str:
        with engine.begin() as connection:
            found = connection.execute(text("SELECT trouble FROM notice")).scalar_one()
            connection.execute(text("UPDATE notice SET not_before = now()"))
        return str(found)

    assert tell_waiting(engine, mail(port, "somebody@elsewhere.example")) == 0
    assert "took no message" in trouble()
    assert tell_waiting(engine, mail(port, password="guessed")) == 0
    assert "SMTPAuthenticationError" in trouble()
    assert tell_waiting(engine, mail(1)) == 0
    assert "ConnectionRefusedError" in trouble()
    some = mail(port, "rita@house.example", "somebody@elsewhere.example")
    assert tell_waiting(engine, some) == 0
    assert trouble() == "the mail server refused somebody@elsewhere.example"
    deaf = Webhook("http://127.0.0.1:1/", "secret", "https://review.example")
    mailbox.got.clear()
    assert tell_waiting(engine, Several([deaf, mail(port)])) == 0  # the mail went out nevertheless
    assert len(mailbox.got) == 1 and "webhook" in trouble()


def test_starttls_is_kept_to(engine: Engine, book: Made, mailbox: Mailbox, port: int) -> None:
    """A server that offers no TLS gets neither password nor message."""
    safe = Mail(
        "127.0.0.1", port, "lectern@house.example", ["rita@house.example"], "https://review.example",
        user="lectern", password=PASSWORD,
    )  # fmt: skip
    assert ssl.HAS_TLSv1_3 and safe.security is Security.STARTTLS
    assert tell_waiting(engine, safe) == 0
    assert not mailbox.got
