"""Tells people by mail that a report waits for a reviewer, over any SMTP server.

The Message-ID is made of the report's digest: a notice that is told twice after a crash is the same message.
"""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from enum import StrEnum
from urllib.parse import urlsplit

from qa.review.webhook import TIMEOUT_S, Notifier, NotTold
from storage.notices import Waiting


class Security(StrEnum):
    """How the connection to the mail server is kept."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Mail:
    """Receivers of notices and the server that takes them.

    Attributes
    ----------
    host, port, security : the mail server
    sender, receivers : addresses
    public_url : address of the review app, for links
    user, password : where the server wants a login
    """

    host: str
    port: int
    sender: str
    receivers: Sequence[str]
    public_url: str
    security: Security = Security.STARTTLS
    user: str = ""
    password: str = field(default="", repr=False)

    def tell(self, waiting: Waiting) -> None:
        """Send one message; a server that takes it from no receiver, or not at all, is a failure."""
        message = self.message(waiting)
        try:
            with self._connected() as server:
                if self.security is Security.STARTTLS:
                    server.starttls(context=ssl.create_default_context())
                if self.user:
                    server.login(self.user, self.password)
                refused = server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotTold(f"{type(error).__name__}: the mail server took no message") from error
        if refused:
            raise NotTold(f"the mail server refused {', '.join(sorted(refused))}")

    def message(self, waiting: Waiting) -> EmailMessage:
        """Write the message."""
        host = urlsplit(self.public_url).hostname or "localhost"
        link = f"{self.public_url.rstrip('/')}/productions/{waiting.production_id}"
        message = EmailMessage()
        title = " ".join(waiting.title.split())
        message["Subject"] = f"Waits for review: {title} ({waiting.verdict})"
        message["From"] = Address(addr_spec=self.sender)
        message["To"] = tuple(Address(addr_spec=one) for one in self.receivers)
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = f"<{waiting.report_digest}@{host}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(
            f"{title}, read by {waiting.voice}, waits for a reviewer.\n\n"
            f"Verdict of the report: {waiting.verdict}\n{link}\n"
        )
        return message

    def _connected(self) -> smtplib.SMTP:
        if self.security is Security.TLS:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Several:
    """Tells by every way; where one fails, all are tried again, and a receiver drops what it knows."""

    notifiers: Sequence[Notifier]

    def tell(self, waiting: Waiting) -> None:
        """Tell by all, then say what failed."""
        troubles = []
        for notifier in self.notifiers:
            try:
                notifier.tell(waiting)
            except NotTold as error:
                troubles.append(str(error))
        if troubles:
            raise NotTold("; ".join(troubles))
