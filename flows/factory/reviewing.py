"""The review app as Lectern runs it: over the open services, with the factory behind it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI
from sqlalchemy.orm import Session

from flows.services import Services
from flows.settings import Settings
from generation.errors import LecternError
from generation.voices import house_voices
from qa.review.app import create_app
from qa.review.desk import Factory, Options, Upload
from qa.review.mail import Mail, Security, Several
from qa.review.webhook import Notifier, Webhook
from storage import enrolment
from storage.errors import StorageError
from storage.states import VoiceState

if TYPE_CHECKING:
    from flows.factory.intake import Narrator, Wish


class FlowsFactory:
    """What the flows do for the review app (`qa.review.desk.Factory`)."""

    refusals: tuple[type[Exception], ...] = (LecternError, StorageError)

    def __init__(self, services: Services) -> None:
        self.services = services

    def voices(self) -> Sequence[str]:
        """Return the house voices and the enrolled ones."""
        with Session(self.services.engine) as session:
            rows = enrolment.voices(session)
        enrolled = {row.name for row in rows if row.state == VoiceState.ENROLLED}
        return sorted(enrolled | set(house_voices()))

    def submit(self, upload: Upload) -> int:
        """Queue an uploaded book; raises UnknownVoice where its voice is none of those offered."""
        from flows.factory.intake import Rights, Submission, submit
        from generation.errors import UnknownVoice

        voices = self.voices()
        if upload.voice not in voices:  # a path of this machine, say
            raise UnknownVoice(f"no voice {upload.voice!r}: there are {', '.join(voices)}")
        said = Submission(
            title=upload.title,
            authors=upload.authors,
            language=upload.language,
            rights=Rights.model_validate(
                {"holder": upload.rights_holder, "basis": upload.rights_basis}
            ),
        )
        narrator = self.narrator(upload.voice, upload.actor)
        wish = self.wish(upload)
        return submit(self.services, upload.path, narrator, wish, said, actor=upload.actor).id

    def narrator(self, voice: str, actor: str) -> "Narrator":
        """Return who reads."""
        from flows.factory.intake import narrator_named

        return narrator_named(self.services, voice, actor)

    def wish(self, upload: Upload) -> "Wish":
        """Return how it is to be read."""
        from flows.factory.intake import Wish

        return Wish(priority=upload.priority)

    def check_directions(self, directions: Mapping[str, str]) -> None:
        """Refuse what cannot be pronounced now, not during the night."""
        from flows.factory.studio import lexicon_with

        lexicon_with("", directions)

    def approved(self, production_id: int) -> None:
        """Publish in a process of its own; `reconcile` and `nightly` find what did not get there."""
        command = [sys.executable, "-m", "flows.cli", "publish", str(production_id)]
        environment = {**os.environ, **self.services.settings.environment()}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as process:
            code = process.wait()
        if code:
            raise LecternError(f"`lectern publish {production_id}` ended with {code}")


def review_app(
    services: Services, hosts: Sequence[str] = (), factory: Factory | None = None
) -> FastAPI:
    """Make the review app as the settings say.

    Parameters
    ----------
    services : Services
        Database, object store, settings.
    hosts : sequence of str
        Further names it may be asked for by.
    factory : Factory, optional
        What takes books and follows approvals; the flows otherwise.
    """
    settings = services.settings
    named = urlsplit(settings.review_url).hostname
    known = ("localhost", "127.0.0.1", *hosts, *([named] if named else []))
    notifiers = list(_notifiers(settings))
    options = Options(
        cache=settings.folder / "cache" / "review",
        hosts=tuple(dict.fromkeys(known)),
        four_eyes=settings.review_four_eyes,
    )
    return create_app(
        services.engine,
        services.store,
        options,
        factory=factory or FlowsFactory(services),
        notifier=Several(notifiers) if notifiers else None,
    )


def _notifiers(settings: Settings) -> Iterator[Notifier]:
    """Yield the ways in which reviewers are told that a report waits."""
    if settings.review_webhook_url and settings.review_webhook_secret:
        secret = settings.review_webhook_secret.get_secret_value()
        yield Webhook(settings.review_webhook_url, secret, settings.review_url)
    receivers = [one.strip() for one in settings.review_mail_to.split(",") if one.strip()]
    if receivers:
        password = settings.review_smtp_password
        yield Mail(
            host=settings.review_smtp_host,
            port=settings.review_smtp_port,
            sender=settings.review_mail_from or receivers[0],
            receivers=receivers,
            public_url=settings.review_url,
            security=Security(settings.review_smtp_security),
            user=settings.review_smtp_user,
            password=password.get_secret_value() if password else "",
        )
