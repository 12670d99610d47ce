"""The one settings object: `LECTERN_*` variables, then `lectern.toml` in the home, then defaults."""

import os
from functools import cached_property
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

DEFAULT_HOME = Path("~/.lectern")


class Settings(BaseSettings):
    """Where things are and how the factory works; an unknown key is an error.

    Attributes
    ----------
    home
        Folder of all local state (`LECTERN_HOME`).
    database_url
        Lectern's PostgreSQL; none: the embedded one of the home.
    store
        Folder or `s3://bucket/prefix`; none: `objects` in the home.
    s3_endpoint
        Address of an S3 service other than Amazon's; credentials come from where boto3 finds them.
    prefect_api_url
        A running Prefect server; none: one of the home's own, on the embedded PostgreSQL.
    """

    model_config = SettingsConfigDict(env_prefix="LECTERN_", extra="forbid", frozen=True)

    home: Path = DEFAULT_HOME
    database_url: SecretStr | None = None
    store: str | None = None
    s3_endpoint: str | None = None
    prefect_api_url: str | None = None

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
        home = Path(os.environ.get("LECTERN_HOME", str(DEFAULT_HOME))).expanduser()
        toml = TomlConfigSettingsSource(settings_cls, home / "lectern.toml")
        return init_settings, env_settings, toml

    @cached_property
    def folder(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def store_address(self) -> str:
        """Address of the object store, as `storage.objects.open_store` takes it."""
        return self.store or str(self.folder / "objects")
