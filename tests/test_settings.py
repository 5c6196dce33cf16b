"""Settings that cannot be are refused by name before anything starts."""

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from app.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "99999"),
        ("PORT", "-1"),
        ("MAX_UPLOAD_MB", "-5"),
        ("MAX_UPLOAD_MB", "0"),
        ("LLM_IN_FLIGHT", "0"),
        ("LLM_TIMEOUT_S", "nan"),
        ("LLM_TIMEOUT_S", "inf"),
        ("WATCHDOG_S", "0"),
        ("DATABASE_URL", "mysql://host/db"),
        ("DATABASE_URL", "nonsense"),
        ("REDIS_URL", "http://host"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError) as refused:
        Settings()

    assert refused.value.errors()[0]["loc"] == (name.lower(),)


def test_the_command_line_names_the_setting_in_one_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "app.cli", "version"],
        env=os.environ | {"PORT": "99999", "DATABASE_URL": "mysql://me:hunter2@host/db"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert ran.stderr.startswith(
        "breakwater: PORT: Input should be less than or equal to 65535, and it is '99999'"
    )
    assert "DATABASE_URL: must be the address of a PostgreSQL database" in ran.stderr
    assert "hunter2" not in ran.stderr
