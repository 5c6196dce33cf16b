"""A certificate says what follows from its facts, and a change of any of its fields is found."""

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from app.guarantee.certificate import Change, Facts, Read, Said, certificate, facts_in
from app.guarantee.lot import hash_without, order_hash
from app.guarantee.recheck import problems
from app.guarantee.sequential import Test, certified_at, prior_for, upper_bounds
from tests.guarantee.audits import CENSUS_DEFECT, Audit, earlier_audit, row

ON_ITS_OWN = (
    "audit_id",
    "frozen_at",
    "code_version",
    "earlier_audits",
    "label_changes.at",
    "label_changes.decision",  # of an adjudication
    "label_changes.note",
    "removed.why",
    "draws.readings.decision",
    "census.readings.readings.decision",
)
"""Fields that nothing else in the folder depends on: the certificate's own hash covers them, and its file's."""

Path = tuple[str | int, ...]


@pytest.fixture(scope="module")
def audit() -> Audit:
    return Audit(earlier_audits=[earlier_audit()])


@pytest.fixture(scope="module")
def made(audit: Audit) -> dict[str, Any]:
    return as_read(audit.facts)


def as_read(facts: Facts) -> dict[str, Any]:
    """As whoever has the file reads it."""
    return json.loads(json.dumps(certificate(facts)))


def test_it_says_what_follows_from_the_labels(audit: Audit, made: dict[str, Any]) -> None:
    defect = np.isin(audit.drawn[:160], [audit.missed, audit.uncorrected])
    test = Test(300, 15, 0.05, prior_for(0.05))

    assert made["bounds"] == upper_bounds(defect, test).tolist()
    assert made["certified_at"] == certified_at(defect, test)
    assert made["upper_bound"] == made["bounds"][-1]
    assert made["order_sha256"] == order_hash(audit.drawn)
    assert [draw["id"] for draw in made["draws"]] == audit.drawn[:160]
    assert (made["rows"], made["rows_audited"], made["tolerance"], made["rows_released"]) == (
        300,
        303,
        15,
        302,
    )
    assert made["readers"]["found_again"] == made["readers"]["missed"] == 1
    assert {one["id"]: one["label"] for one in made["removed"]} == {
        audit.uncorrected: "defect",
        CENSUS_DEFECT: "defect",
    }
    assert made["corrected"] == [
        {"id": audit.missed, "hash": audit.facts.corrected[audit.missed], "was_defect": True}
    ]
    assert problems(made, audit.lot, audit.released()) == []


def test_readers_are_numbered_and_never_named(audit: Audit, made: dict[str, Any]) -> None:
    readers = {one["reader"] for draw in made["draws"] for one in draw["readings"]}

    assert readers == {"reader 1", "reader 2", "reader 3"}
    assert "person" not in json.dumps(made)
    assert facts_in(made, audit.lot)._replace(read=[]) == audit.facts._replace(read=[])


# --- claims -----------------------------------------------------------------------------------------------


def test_the_claim_names_the_rate_the_guideline_and_the_risk() -> None:
    made = certificate(Audit().facts)

    assert made["claim"] == (
        "If more than 5 % of the 303 instances audited were defective, as readers judge under guideline version "
        "2, the chance that this audit would have passed is at most 5 %. It is the first audit of these rows."
    )
    assert made["second_line"] == (
        f"Of at most {made['upper_bound']} defects in the 300 rows drawn from, 2 were found, 1 corrected and 1 "
        f"removed: at most {made['upper_bound'] - 2} are left."
    )


def test_rows_that_leave_without_being_defects_turn_the_claim_into_a_count() -> None:
    audit = Audit()
    gone = audit.drawn[200:210]
    audit.facts = audit.facts._replace(withdrawn=dict.fromkeys(gone, "withdrawn"))
    made = as_read(audit.facts)

    assert made["rows_released"] == 292
    assert f"At most {made['upper_bound']} defects among the 300 rows drawn from" in made["claim"]
    assert "10 rows left the lot after the freeze" in made["claim"]
    assert f"at most {100 * made['upper_bound'] / 292:.3g} % of the 292 rows released" in made["claim"]
    assert problems(made, audit.lot, audit.released()) == []


@pytest.mark.parametrize(
    ("attempts", "attempt", "earlier", "says"),
    [
        (1, 1, [earlier_audit()], "It is not the first audit of these rows"),
        (4, 2, [earlier_audit()], "It is attempt 2 of 4 declared beforehand, each at 1.25 %."),
        (1, 2, [earlier_audit()], "not the first audit of these rows but attempt 2, and 1 was declared"),
    ],
)
def test_other_attempts_are_named_and_share_alpha(
    attempts: int, attempt: int, earlier: list[Any], says: str
) -> None:
    audit = Audit(draws=250, attempts=attempts, attempt=attempt, earlier_audits=earlier)
    made = as_read(audit.facts)

    assert says in made["claim"]
    assert made["alpha_used"] == 0.05 / attempts
    assert made["first"] is False
    assert problems(made, audit.lot, audit.released()) == []


# --- what is not certified --------------------------------------------------------------------------------


def test_draws_count_up_to_the_first_without_a_label() -> None:
    audit = Audit()
    waits_for = audit.drawn[100]
    audit.facts = audit.facts._replace(read=[one for one in audit.facts.read if one.id != waits_for])
    made = as_read(audit.facts)

    assert made["draws_counted"] == len(made["bounds"]) == 100
    assert len(made["draws"]) == 159
    assert made["certified_at"] is None
    assert problems(made, audit.lot, row_read_less(audit, waits_for)) == [made["claim"]]


def row_read_less(audit: Audit, row_id: str) -> list[Any]:
    """The release rows where this one was not read."""
    return [
        row(int(row_id.removeprefix("demo-"))) if one["id"] == row_id else one for one in audit.released()
    ]


def test_nothing_is_certified_before_the_census_is_complete() -> None:
    audit = Audit()
    audit.facts = audit.facts._replace(read=[one for one in audit.facts.read if one.id != "demo-304"])
    made = certificate(audit.facts)

    assert made["tolerance"] is made["certified_at"] is None
    assert made["claim"] == "Not certified: the census is not complete."


def test_more_defects_than_are_tolerated_refute_the_claim_also_where_they_were_read_early() -> None:
    audit = Audit()
    early = [
        Read(row_id, [Said(5000 + number, True, "person 1")])
        for number, row_id in enumerate(audit.drawn[200:220])
    ]
    made = certificate(audit.facts._replace(read=[*audit.facts.read, *early]))

    assert made["certified_at"] is None
    assert made["upper_bound"] == 22


# --- what is found ----------------------------------------------------------------------------------------


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from leaves(one, (*path, number))
    else:
        yield path, value


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if value in ("ok", "defect"):
        return "defect" if value == "ok" else "ok"
    return "reader 9" if value is None else f"{value}x"


def with_another(made: dict[str, Any], path: Path) -> dict[str, Any]:
    changed = copy.deepcopy(made)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = other(place[path[-1]])
    return changed


def name_of(path: Path) -> str:
    return ".".join(key for key in path if isinstance(key, str))


def every_kind_of_leaf(made: dict[str, Any]) -> Sequence[Path]:
    """The paths of all fields; of the entries of a long list the first two and the last two."""
    by_name: dict[str, list[Path]] = {}
    for path, _ in leaves(made):
        by_name.setdefault(name_of(path), []).append(path)
    return [path for paths in by_name.values() for path in dict.fromkeys([*paths[:2], *paths[-2:]])]


def test_a_change_of_any_field_is_found(audit: Audit, made: dict[str, Any]) -> None:
    released = audit.released()
    unnoticed = [
        path
        for path in every_kind_of_leaf(made)
        if not problems(with_another(made, path), audit.lot, released)
    ]

    assert unnoticed == []


def test_a_change_of_any_field_is_found_though_the_hash_is_made_anew_where_others_depend_on_it(
    audit: Audit, made: dict[str, Any]
) -> None:
    released = audit.released()
    unnoticed = set()
    for path in every_kind_of_leaf(made):
        changed = with_another(made, path)
        changed["sha256"] = hash_without(changed, "sha256")
        if path != ("sha256",) and not problems(changed, audit.lot, released):
            unnoticed.add(name_of(path))

    assert {name for name in unnoticed if not name.startswith(ON_ITS_OWN)} == set()


def test_a_field_that_differs_is_named_with_both_values(audit: Audit, made: dict[str, Any]) -> None:
    changed = with_another(made, ("bounds", 3))
    changed["sha256"] = hash_without(changed, "sha256")
    changed.pop("tolerance")

    found = problems(changed, audit.lot, audit.released())

    assert f"bounds[3] is {made['bounds'][3] + 1}, the rest gives {made['bounds'][3]}" in found
    assert "tolerance is missing" in found


@pytest.mark.parametrize("broken", [{}, {"draws": 3}, {"draws": [], "census": None}])
def test_what_is_no_certificate_is_said_to_be_none(audit: Audit, broken: dict[str, Any]) -> None:
    assert "the certificate cannot be read" in problems(broken, audit.lot, [])[0]


# --- labels change by the rules only ----------------------------------------------------------------------


def of_labels(audit: Audit, **changed: Any) -> list[str]:
    facts = audit.facts._replace(**changed)
    return problems(as_read(facts), audit.lot, audit.released())


def test_a_defect_does_not_become_ok_without_an_adjudicator(audit: Audit) -> None:
    turned = Change(audit.uncorrected, "2026-11-27T12:00:00+00:00", True, False, "found later", None)

    found = of_labels(audit, changes=[*audit.facts.changes, turned])

    assert f"row {audit.uncorrected}: found later, a label can only become a defect" in found


def test_only_readers_who_disagreed_are_adjudicated(audit: Audit) -> None:
    turned = Change(audit.uncorrected, "2026-11-27T12:00:00+00:00", True, False, "adjudicated", None)

    found = of_labels(audit, changes=[*audit.facts.changes, turned])

    assert f"row {audit.uncorrected}: its label was adjudicated, but its readers did not disagree" in found


def test_a_second_reading_stands_where_the_seed_asked_for_one_and_is_by_somebody_else(audit: Audit) -> None:
    again = Said(7000, False, "person 1")
    read = [
        one._replace(readings=[*one.readings, again]) if one.id == audit.uncorrected else one
        for one in audit.facts.read
    ]
    by_one = [
        one._replace(readings=[said._replace(reader="person 1") for said in one.readings])
        for one in audit.facts.read
    ]

    assert any("and the seed asks for 1 at most" in one for one in of_labels(audit, read=read))
    assert f"row {audit.missed}: both readings are by the same reader" in of_labels(audit, read=by_one)


def test_a_disagreement_without_a_change_of_the_label_is_found(audit: Audit) -> None:
    found = of_labels(audit, changes=audit.facts.changes[1:])

    assert f"row {audit.missed}: its readers disagreed, and no change of its label is listed" in found


# --- rows of the release ----------------------------------------------------------------------------------


def test_rows_of_the_release_are_those_of_the_lot_less_removed_with_corrected(
    audit: Audit, made: dict[str, Any]
) -> None:
    released = audit.released()
    ids = [one["id"] for one in released]
    number = ids.index(audit.missed)
    undrawn = ids.index(audit.drawn[-1])

    def found(rows: list[Any]) -> list[str]:
        return problems(made, audit.lot, rows)

    other_text = row(int(audit.drawn[-1].removeprefix("demo-")), "return 3")
    assert found([*released[:undrawn], other_text, *released[undrawn + 1 :]]) == [
        f"row {audit.drawn[-1]} differs from what was frozen"
    ]
    as_frozen = row(int(audit.missed.removeprefix("demo-")), decision="edit")
    assert found([*released[:number], as_frozen, *released[number + 1 :]]) == [
        f"row {audit.missed} differs from its correction"
    ]
    assert found(released[1:]) == [
        f"row {ids[0]} is in the lot, but neither in the release nor among those removed"
    ]
    assert found([*released, row(999)]) == ["row demo-999 is in the release, but not in the lot"]
    assert found([*released, released[0]]) == [f"row {ids[0]} is in the release twice"]
    removed = row(int(audit.uncorrected.removeprefix("demo-")), decision="accept")
    assert found([*released, removed]) == [
        f"row {audit.uncorrected} is in the release, and the certificate says it was removed"
    ]
