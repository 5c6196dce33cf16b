"""Configuration from the environment and `.env`. Frozen; secrets are never printed."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from app.pipeline import OFFLINE


def _postgres_url(url: str) -> str:
    try:
        driver = make_url(url).get_backend_name()
    except (ArgumentError, ValueError):
        raise ValueError("is no address such as postgresql://user:password@host/database") from None
    if driver not in ("postgresql", "postgres"):
        raise ValueError(
            "must be the address of a PostgreSQL database: postgresql://user:password@host/database"
        )
    return url


def _redis_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must be an address such as redis://host:6379/0 or unix:///path/to/redis.sock")
    return url


class Settings(BaseSettings):
    """Every setting, by the name of its environment variable in lower case."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    breakwater_home: Path = Path(".breakwater")
    files_dir: Path | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000  # 0: any free one
    database_url: Annotated[str, AfterValidator(_postgres_url)] | None = None
    redis_url: Annotated[str, AfterValidator(_redis_url)] | None = None
    openai_base_url: str | None = None
    openai_api_key: SecretStr | None = None
    generator_model: str = OFFLINE
    discriminator_model: str = OFFLINE
    embedder: str = "embedded"
    breakwater_env: Literal["development", "production"] = "development"
    log_format: Literal["text", "json"] = "text"
    secure_cookies: bool | None = None
    llm_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 32
    llm_timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 120.0
    max_upload_mb: Annotated[int, Field(ge=1, le=1_048_576)] = 2048
    web_silent_s: Annotated[float, Field(ge=1, le=86_400)] = (
        30.0  # a web process that does not answer `/healthz` for so long is started anew
    )
    watchdog_s: Annotated[float, Field(ge=1, le=86_400)] = (
        60.0  # a worker that hears nothing for so long while work waits starts anew
    )

    @model_validator(mode="after")
    def _a_model_needs_a_key(self) -> Self:
        wants_model = {self.generator_model, self.discriminator_model} != {OFFLINE}
        if wants_model and self.openai_api_key is None:
            raise ValueError("GENERATOR_MODEL or DISCRIMINATOR_MODEL is set, but OPENAI_API_KEY is not")
        return self

    @property
    def home(self) -> Path:
        return self.breakwater_home.resolve()

    @property
    def files(self) -> Path:
        """Uploads, release files and fitted embedders; on several hosts one shared volume."""
        return (self.files_dir or self.home / "files").resolve()

    @property
    def cookies_are_secure(self) -> bool:
        if self.secure_cookies is not None:
            return self.secure_cookies
        return self.breakwater_env == "production"

    @property
    def provider_account(self) -> str:
        """A name for what a provider counts calls against, its address and the key; neither can be read in it."""
        key = self.openai_api_key.get_secret_value() if self.openai_api_key else ""
        return hashlib.sha256(f"{self.openai_base_url}\n{key}".encode()).hexdigest()[:16]

    @property
    def has_model(self) -> bool:
        return self.openai_api_key is not None


@lru_cache
def settings() -> Settings:
    return Settings()
