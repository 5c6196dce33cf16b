"""Texts to unit vectors. Touches files: a fitted embedder is one matrix below FILES_DIR.

The embedded default needs no download and no key: counts of hashed token 1-2-grams, TF-IDF, and the leading
singular vectors of both (latent semantic analysis, Deerwester et al. 1990). Weights and singular vectors fold
into one matrix, which is the whole model.
"""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, cast

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from app.errors import InvalidInput, NotFound
from app.geometry.kcenter import Matrix

EMBEDDED: Final = "embedded"
FIT_ROWS: Final = 20_000  # more rows cost time and change little
DIMENSIONS: Final = 256
_BUCKETS: Final = 2**16
_POWER_ITERATIONS: Final = 2


class Embedder(Protocol):
    """Turns texts into vectors; the same `name` always means the same vectors."""

    @property
    def name(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> Matrix:
        """One float32 row of length 1 per text, or of zeros where it recognises nothing in the text."""
        ...


class HashedEmbedder:
    """The embedded default, once fitted. Each row depends on its own text only, not on its batch."""

    def __init__(self, name: str, projection: Matrix) -> None:
        self.name = name
        self._projection = projection  # (2^16, 256), from buckets of tokens to dimensions

    def embed(self, texts: Sequence[str]) -> Matrix:
        rows = cast(Matrix, _damped_counts(texts) @ self._projection)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


def fit(texts: Sequence[str]) -> Matrix:
    """Learn the projection of a `HashedEmbedder` from at most `FIT_ROWS` texts; same texts, same matrix.

    Fewer texts than dimensions leave the last columns zero. Raises `InvalidInput` without any text.
    """
    # Two seconds and 60 MB of imports, which only the process that embeds should pay.
    from sklearn.feature_extraction.text import TfidfTransformer  # noqa: PLC0415
    from sklearn.utils.extmath import randomized_svd  # noqa: PLC0415

    if not texts:
        raise InvalidInput("there is no text to fit an embedder on")
    weights = TfidfTransformer()
    documents = weights.fit_transform(_damped_counts(texts[:FIT_ROWS]))
    with threadpool_limits(limits=1):  # the number of threads changes the last bits
        _, _, directions = randomized_svd(
            documents,
            min(DIMENSIONS, len(texts)),
            n_iter=_POWER_ITERATIONS,  # pyright: ignore[reportArgumentType]
            random_state=0,
        )
    projection = np.zeros((_BUCKETS, DIMENSIONS), dtype=np.float32)
    projection[:, : len(directions)] = weights.idf_[:, None] * directions.T
    return projection


def store(projection: Matrix, folder: Path) -> HashedEmbedder:
    """Keep a fitted projection in `folder` under its content hash, which becomes part of its name."""
    digest = hashlib.sha256(projection.tobytes()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        np.save(part, projection)
    os.replace(part.name, folder / f"{digest}.npy")  # whole or not at all, whoever else stores the same
    return HashedEmbedder(f"{EMBEDDED}:{digest}", projection)


def load(name: str, folder: Path) -> HashedEmbedder:
    """The embedder that `store` named so. Raises `NotFound` when its file is gone."""
    path = folder / f"{name.removeprefix(f'{EMBEDDED}:')}.npy"
    if not path.is_file():
        raise NotFound(
            f"the fitted embedder {name} is missing: restore {path.name} below embedders/ in FILES_DIR"
        )
    return HashedEmbedder(name, np.load(path, mmap_mode="r"))


# scikit-learn carries no types and those guessed from its defaults are too narrow, here and in `fit`.
def _damped_counts(texts: Sequence[str]) -> csr_matrix:
    """(n, 2^16) sparse: 1 + log(count) of each token and pair of neighbours, by the hash of its spelling."""
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415 - as in `fit`

    words = HashingVectorizer(
        n_features=_BUCKETS,
        ngram_range=(1, 2),
        token_pattern=r"\w+|[^\w\s]",
        alternate_sign=False,
        norm=None,  # pyright: ignore[reportArgumentType]
        dtype=np.float32,  # pyright: ignore[reportArgumentType]
    )
    counts = cast(csr_matrix, words.transform(texts))
    counts.data = 1 + np.log(counts.data)
    return counts
