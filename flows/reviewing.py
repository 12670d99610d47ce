"""The review app as Lectern runs it: over the open services, with the factory behind it."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from fastapi import FastAPI
from sqlalchemy.orm import Session

from flows.services import Services
from generation.errors import LecternError
from generation.voices import house_voices
from qa.review.app import create_app
from qa.review.desk import Options, Upload
from qa.review.webhook import Webhook
from storage import enrolment
from storage.errors import StorageError
from storage.states import VoiceState


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
        """Queue an uploaded book."""
        from flows.intake import Rights, Submission, Wish, narrator_named, submit

        said = Submission(
            title=upload.title,
            authors=upload.authors,
            language=upload.language,
            rights=Rights.model_validate(
                {"holder": upload.rights_holder, "basis": upload.rights_basis}
            ),
        )
        narrator = narrator_named(self.services, upload.voice, upload.actor)
        wish = Wish(priority=upload.priority)
        return submit(self.services, upload.path, narrator, wish, said, actor=upload.actor).id

    def check_directions(self, directions: Mapping[str, str]) -> None:
        """Refuse what cannot be pronounced now, not during the night."""
        from flows.studio import lexicon_with

        lexicon_with("", directions)

    def approved(self, production_id: int) -> None:
        """Do nothing yet: `reconcile` and `nightly` find what is approved."""


def review_app(services: Services, hosts: Sequence[str] = ()) -> FastAPI:
    """Make the review app as the settings say; `hosts` are further names it may be asked for by."""
    settings = services.settings
    named = urlsplit(settings.review_url).hostname
    known = ("localhost", "127.0.0.1", *hosts, *([named] if named else []))
    notifier = None
    if settings.review_webhook_url and settings.review_webhook_secret:
        secret = settings.review_webhook_secret.get_secret_value()
        notifier = Webhook(settings.review_webhook_url, secret, settings.review_url)
    options = Options(
        cache=settings.folder / "cache" / "review",
        hosts=tuple(dict.fromkeys(known)),
        four_eyes=settings.review_four_eyes,
    )
    return create_app(
        services.engine,
        services.store,
        options,
        factory=FlowsFactory(services),
        notifier=notifier,
    )
