"""The embedded embedder: close texts are close, and a name always means the same vectors."""

import numpy as np
import pytest

from app.errors import InvalidInput, NotFound
from app.selection.embedding import fit, load, store

SORTING = [f"def sort_{n}(rows): return sorted(rows, key=lambda row: row[{n}])" for n in range(10)]
READING = [
    f"def read_{n}(path):\n    with open(path) as file:\n        return file.read({n})" for n in range(10)
]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    return store(fit(SORTING + READING), tmp_path_factory.mktemp("embedders"))


def test_texts_about_the_same_are_nearer_than_texts_about_different_things(embedder):
    sort_a, sort_b, read = embedder.embed([SORTING[0], SORTING[1], READING[0]])

    assert sort_a @ sort_b > sort_a @ read + 0.2


def test_vectors_are_float32_rows_of_length_one(embedder):
    rows = embedder.embed(SORTING)

    assert rows.shape == (10, 256)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-6)


def test_a_text_without_any_known_token_gets_zeros(embedder):
    assert not embedder.embed(["", "жук"]).any()


def test_a_vector_does_not_depend_on_its_batch(embedder):
    together = embedder.embed(SORTING + READING)

    assert (embedder.embed([READING[3]])[0] == together[13]).all()


def test_a_second_fit_on_the_same_texts_is_the_same_embedder_and_on_others_another(tmp_path):
    first, again, other = (store(fit(texts), tmp_path) for texts in (SORTING, SORTING, READING))

    assert first.name == again.name != other.name
    assert len(list(tmp_path.iterdir())) == 2


def test_a_stored_embedder_gives_the_same_vectors_when_loaded(tmp_path):
    fitted = store(fit(SORTING), tmp_path)

    assert (load(fitted.name, tmp_path).embed(READING) == fitted.embed(READING)).all()


def test_a_lost_file_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"0123456789abcdef\.npy"):
        load("embedded:0123456789abcdef", tmp_path)


def test_one_text_is_enough_to_fit_and_none_is_refused():
    assert fit(["x"]).any()
    with pytest.raises(InvalidInput, match="no text"):
        fit([])
