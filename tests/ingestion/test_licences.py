import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingestion.licences import admits, spdx


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("mit", "MIT"),
        (" Apache-2.0 ", "Apache-2.0"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("LicenseRef-Ours", "LicenseRef-Ours"),
        ("MIT License", None),
        ("UNKNOWN", None),
        ("NOASSERTION", None),
        ("()", None),
        ("MIT AND", None),
        ("", None),
        (None, None),
    ],
)
def test_only_spdx_is_a_licence_and_nothing_is_guessed(text: str | None, canonical: str | None):
    assert spdx(text) == canonical


@given(st.text(alphabet="MIT ()ANDORWH-2.0+gpl", max_size=30))
def test_what_comes_out_is_spdx_and_stays_as_it_is(text: str):
    canonical = spdx(text)

    assert canonical is None or spdx(canonical) == canonical


def test_no_list_admits_an_unknown_licence():
    assert not admits(["MIT"], None)
    assert admits(["LicenseRef-Ours"], "LicenseRef-Ours")
    assert admits(["mit", "apache-2.0"], "MIT AND Apache-2.0")
