"""A frozen lot: its content hashes, its order and what is read twice."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from app.guarantee.lot import Frozen, content_hash, lot_bytes, order, order_hash, read_twice

SEED = "5e" * 32


@given(st.sets(st.text(min_size=1), max_size=30), st.randoms())
def test_the_order_depends_on_the_seed_and_the_ids_and_on_nothing_else(ids, random):
    shuffled = sorted(ids)
    random.shuffle(shuffled)

    assert order(shuffled, SEED) == order(sorted(ids), SEED)
    assert sorted(order(ids, SEED)) == sorted(ids)


def test_the_order_can_be_recomputed_by_hand():
    ids = [f"demo-{number}" for number in range(50)]
    by_hand = sorted(ids, key=lambda one: hashlib.sha256(f"{SEED} draw {one}".encode()).hexdigest())

    assert order(ids, SEED) == by_hand != order(ids, "00" * 32)
    assert order_hash(by_hand) == hashlib.sha256("\n".join(by_hand).encode()).hexdigest()


def test_the_seed_has_about_the_share_of_rows_read_twice():
    ids = [f"demo-{number}" for number in range(5000)]
    twice = [one for one in ids if read_twice(one, SEED, 0.1)]

    assert 430 < len(twice) < 570
    assert {one for one in ids if read_twice(one, SEED, 0.05)} < set(twice)
    assert not any(read_twice(one, SEED, 0.0) for one in ids)
    assert all(read_twice(one, SEED, 1.0) for one in ids)


def test_the_content_of_a_row_is_what_is_judged_and_not_how_it_got_there():
    row = {
        "id": "demo-1",
        "solution": "x = 1",
        "source": {"license": "MIT"},
        "decision": "accept",
        "hash": "a",
    }

    assert content_hash(row) == content_hash({**row, "decision": "undrawn", "revision": 4, "hash": "b"})
    assert content_hash(row) == content_hash(dict(reversed(row.items())))
    assert content_hash(row) != content_hash({**row, "solution": "x = 2"})
    assert content_hash(row) != content_hash({**row, "source": {"license": "GPL-2.0-only"}})


def test_the_file_of_a_lot_has_a_line_for_each_row_by_id_whatever_order_they_came_in():
    rows = [Frozen("demo-10", "b" * 64, "random"), Frozen("demo-9", "a" * 64, "census")]

    assert lot_bytes(rows) == lot_bytes(rows[::-1])
    assert [json.loads(line) for line in lot_bytes(rows).splitlines()] == [row._asdict() for row in rows]
