"""The one settings object: `LECTERN_*` variables, then `lectern.toml` in the home, then defaults."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from generation.errors import LecternError
from generation.packages.release import AI_DISCLOSURE

DEFAULT_HOME = Path("~/.lectern")

PREFIX = "LECTERN_"


class SettingsError(LecternError):
    """A setting that is unknown or cannot be used; its text names it and what to write instead."""


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not a time zone; write one such as UTC or Europe/Berlin")
    return name


def _cron(expression: str) -> str:
    if len(expression.split()) != 5:
        raise ValueError(
            "not a cron expression: minute, hour, day, month and weekday, such as 0 21 * * *"
        )
    return expression


Days = Annotated[float, Field(gt=0)]
Cron = Annotated[str, AfterValidator(_cron)]


class Settings(BaseSettings):
    """Where things are and how the factory works; an unknown key is an error, wherever it stands.

    Raises
    ------
    SettingsError
        A key is unknown, or a value cannot be used.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Path = Field(DEFAULT_HOME, description="Folder of all local state.")
    database_url: SecretStr | None = Field(
        None, description="Lectern's PostgreSQL, 15 or newer; none: the embedded one of the home."
    )
    store: str | None = Field(
        None, description="Folder or `s3://bucket/prefix`; none: `objects` in the home."
    )
    s3_endpoint: str | None = Field(
        None,
        description="Address of an S3 service other than Amazon's; credentials come from where boto3 finds"
        " them (`AWS_ACCESS_KEY_ID`, a profile, a role).",
    )
    prefect_api_url: str | None = Field(
        None,
        description="A running Prefect server; none: one of the home's own, on the embedded PostgreSQL."
        " Signing in: Prefect's own `PREFECT_API_AUTH_STRING` or `PREFECT_API_KEY`.",
    )
    nightly_cron: Cron = Field("0 21 * * *", description="When the night begins.")
    reconcile_cron: Cron = Field("*/10 * * * *", description="How often forgotten work is found.")
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        "UTC", description="Time zone of both cron expressions and of the closing time."
    )
    nightly_until: str = Field(
        "06:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Closing time of a night."
    )
    takes_days: Days = Field(
        30, description="Days after closing a production that takes nobody chose are kept."
    )
    snapshots_days: Days = Field(
        30, description="Days after closing a production that its windows can still be repaired."
    )
    disclosure: str = Field(
        AI_DISCLOSURE, min_length=1, description="The statement that the narrator is an AI voice."
    )
    signing_chain: Path | None = Field(
        None,
        description="Certificate chain that releases are signed by (PEM, leaf first); none: one made for"
        " this home, which nobody else trusts.",
    )
    signing_key: Path | None = Field(None, description="The leaf's P-256 key (PEM), unencrypted.")
    signing_trust: Path | None = Field(
        None,
        description="Roots that `verify` trusts (PEM); none: the root of the home's own chain.",
    )
    public_url: str = Field(
        "", description="Where the object store can be reached by listeners, for podcast feeds."
    )
    takes_by: Literal["signal", "full"] | None = Field(
        None,
        description="What decides on new takes of a window: its signal alone (`signal`), or words and voice"
        " as well (`full`); none: `full` for trained voices. It is fixed with each order.",
    )
    room_mb: int = Field(
        1000, ge=0, description="Free disk space, in MB, below which a shift takes no more work."
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port at which a shift serves its device's seconds to Prometheus; none: it does not.",
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severity that is logged."
    )
    review_url: str = Field(
        "http://127.0.0.1:8765",
        pattern=r"^https?://[^/]+",
        description="Address under which reviewers reach `lectern review`, for links and allowed hosts.",
    )
    review_four_eyes: bool = Field(False, description="Whether two people must approve.")
    review_webhook_url: str | None = Field(
        None,
        description="Where it is told, by a signed request, that a report waits for a reviewer.",
    )
    review_webhook_secret: SecretStr | None = Field(
        None, description="What those requests are signed with."
    )
    review_mail_to: str = Field(
        "", description="Addresses, by commas, that are told by mail that a report waits."
    )
    review_mail_from: str = Field("", description="The address those mails come from.")
    review_smtp_host: str = Field("localhost", description="The mail server that takes them.")
    review_smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    review_smtp_security: str = Field(
        "starttls",
        pattern="^(starttls|tls|none)$",
        description="How the connection to it is kept: starttls, tls or none.",
    )
    review_smtp_user: str = Field("", description="Its login, where it wants one.")
    review_smtp_password: SecretStr | None = Field(None, description="The password of that login.")

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise SettingsError("; ".join(_said(one) for one in error.errors())) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the home's `lectern.toml` below the environment."""
        given = init_settings().get("home")
        home = Path(given or os.environ.get(f"{PREFIX}HOME", str(DEFAULT_HOME))).expanduser()
        return init_settings, _Environment(settings_cls), _File(settings_cls, home / "lectern.toml")

    @cached_property
    def folder(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def store_address(self) -> str:
        """Address of the object store, as `storage.objects.open_store` takes it."""
        return self.store or str(self.folder / "objects")

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.timezone)

    def environment(self) -> dict[str, str]:
        """Return the variables that give a child process these settings, the database's password included."""
        given: dict[str, str] = {}
        for name in sorted(self.model_fields_set - {"home"}):
            value = getattr(self, name)
            if value is not None:
                plain = value.get_secret_value() if isinstance(value, SecretStr) else value
                given[PREFIX + name.upper()] = str(plain)
        return {**given, f"{PREFIX}HOME": str(self.folder)}


class _Environment(EnvSettingsSource):
    """The environment; unknown `LECTERN_*` variables are errors, as unknown keys of the file are."""

    def __call__(self) -> dict[str, Any]:
        known = [PREFIX + name.upper() for name in self.settings_cls.model_fields]
        found = [name for name in os.environ if name.upper().startswith(PREFIX)]
        _refuse_unknown([name.upper() for name in found], known, "environment variable")
        return super().__call__()


class _File(TomlConfigSettingsSource):
    """`lectern.toml`; unknown keys are errors that name the nearest known one."""

    def __call__(self) -> dict[str, Any]:
        read = super().__call__()
        known = [name for name in self.settings_cls.model_fields if name != "home"]
        _refuse_unknown(read, known, f"key of {self.toml_file_path}")
        return read


def _refuse_unknown(found: Iterable[str], known: list[str], what: str) -> None:
    for name in sorted(set(found) - set(known)):
        nearest = get_close_matches(name, known, n=1, cutoff=0.4)
        rather = f"do you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
        raise SettingsError(f"{name} is an unknown {what}: {rather}")


def _said(error: Any) -> str:
    """Say one of pydantic's errors in a line, without the value (it may be a secret)."""
    name = ".".join(str(part) for part in error["loc"])
    what = error["msg"].removeprefix("Value error, ")
    return f"the setting {name} ({PREFIX}{name.upper()}) cannot be used: {what}"
