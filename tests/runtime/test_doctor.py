"""What the doctor finds, beside what the servers say themselves."""

from pathlib import Path

import pytest

from app.runtime.doctor import examine
from app.settings import Settings


@pytest.mark.parametrize(
    ("host", "secure_cookies", "well"),
    [("0.0.0.0", None, False), ("0.0.0.0", True, True), ("127.0.0.1", None, True)],
)
def test_plain_http_in_production_is_found(
    tmp_path: Path, host: str, secure_cookies: bool | None, well: bool
) -> None:
    chosen = Settings(
        breakwater_home=tmp_path, breakwater_env="production", host=host, secure_cookies=secure_cookies
    )

    [https] = [one for one in examine(chosen) if one.name == "https"]

    assert (https.well, f"http://{host}:8000 is plain http" in https.says) == (well, True)


def test_a_database_that_does_not_let_us_in_is_no_database_that_is_away(
    tmp_path: Path, servers: tuple[str, str]
) -> None:
    nobody = servers[0].replace("breakwater@", "nobody@", 1)

    [postgres] = [
        one
        for one in examine(Settings(breakwater_home=tmp_path, database_url=nobody))
        if one.name == "PostgreSQL"
    ]

    assert not postgres.well
    assert "does not let us in" in postgres.says
