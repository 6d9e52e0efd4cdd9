"""Texts to vectors: TF-IDF and a truncated SVD learned on the pool, or a function of the user's own.

A text with counts c of its character n-grams (or words) becomes

    t = unit((1 + log c) log((1 + n) / (1 + texts that have it))),     x = (t D - m) / s,

with D the leading right singular vectors of the pool's rows t, m the mean and s^2 the mean square of what they become:
latent semantic analysis (Deerwester et al. 1990). The columns keep their different variances, and have mean 0.
Scikit-learn counts and finds D; what is learned is held as plain strings and arrays.

Any function from a list of strings to an array (n, d) may stand in its place, such as ``encode`` of a
SentenceTransformer, whose rows are taken as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer
from torch import Tensor

from firstsight.checks import check_choice, check_number, check_texts
from firstsight.inputs.kinds import LeftOut
from firstsight.seeds import seed_of

BLOCK = 4096  # texts at a time
KINDS = {"characters": "char_wb", "words": "word"}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the vectors.

    Parameters
    ----------
    kind : {"characters", "words"}
        What is counted: n-grams of characters within words, which see through endings and slips, or of words.
    shortest, longest : int
        Characters or words in an n-gram, >= 1.
    fewest_texts : int
        An n-gram of fewer texts is left out, >= 1.
    n_features : int
        Width of the vectors, >= 1; less where the pool spans fewer directions.

    """

    kind: str = "characters"
    shortest: int = 2
    longest: int = 4
    fewest_texts: int = 2
    n_features: int = 256

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, tuple(KINDS))
        for name in ("shortest", "longest", "fewest_texts", "n_features"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        if self.longest < self.shortest:
            raise ValueError(f"longest={self.longest} should be >= shortest={self.shortest}; raise it")


class Vectorizer(NamedTuple):
    """What turns texts into vectors.

    Parameters
    ----------
    kind : str
        As in :class:`Config`.
    lengths : tuple of int
        Shortest and longest n-gram.
    terms : tuple of str
        The n-grams that are counted.
    weights : Tensor of shape (n_terms,)
        How rare each is.
    directions : Tensor of shape (n_terms, n_features)
        D / s.
    mean : Tensor of shape (n_features,)
        m / s.

    """

    kind: str
    lengths: tuple[int, int]
    terms: tuple[str, ...]
    weights: Tensor
    directions: Tensor
    mean: Tensor


Encode = Callable[[list[str]], Any]
"""``(n strings) -> array of shape (n, n_features)``, of the user's own."""


def learn(texts: Sequence[str], config: Config, seed: int) -> Vectorizer:
    """What turns texts into vectors, learned from a pool without labels.

    Parameters
    ----------
    texts : sequence of str
        The pool.
    config : Config
        Settings.
    seed : int
        Of the SVD, >= 0.

    Returns
    -------
    Vectorizer

    Raises
    ------
    TypeError
        When something is no string; its place is named.
    ValueError
        When there are fewer than two texts, or none shares an n-gram with others.

    """
    check_texts("texts", texts)
    if len(texts) < 2:
        raise ValueError(f"texts should be >= 2; found {len(texts)}; pass the whole pool")
    counter = CountVectorizer(
        analyzer=KINDS[config.kind], ngram_range=(config.shortest, config.longest), min_df=config.fewest_texts
    )
    try:
        counts = counter.fit_transform(texts)
    except ValueError as error:  # no n-gram is left
        raise ValueError(
            f"some {config.kind} should be in >= fewest_texts={config.fewest_texts} texts; found none in {len(texts)} "
            "texts; lower fewest_texts or shortest, or pass texts with words"
        ) from error
    having = np.bincount(counts.indices, minlength=counts.shape[1])
    weights = torch.from_numpy(np.log((1 + len(texts)) / (1 + having)) + 1).float()
    rows = _weighted(counts, weights)
    width = min(config.n_features, *rows.shape)
    state = seed_of(seed, "directions") % 2**32
    directions = torch.from_numpy(_singular(rows, width, state)).float()
    learned = Vectorizer(
        config.kind,
        (config.shortest, config.longest),
        tuple(counter.get_feature_names_out().tolist()),
        weights,
        directions,
        torch.zeros(directions.shape[1]),
    )
    raw = _projected(rows, learned)
    mean = raw.mean(0)
    scale = (raw - mean).square().mean().sqrt()
    scale = torch.where(scale > 1e-6, scale, 1.0)  # texts that are all alike
    return learned._replace(directions=directions / scale, mean=mean / scale)


def vectors(vectorizer: Vectorizer | Encode, texts: Sequence[str]) -> Tensor:
    """Vectors of texts.

    Parameters
    ----------
    vectorizer : Vectorizer or callable
        As learned; or ``(list of strings) -> array`` of the user's own.
    texts : sequence of str
        A text of which no n-gram is known, an empty one among them, becomes 0: the mean of the pool.

    Returns
    -------
    Tensor of shape (n, n_features)
        float32.

    Raises
    ------
    TypeError, ValueError
        When something is no string, or the user's function gives no finite array of a row a text.

    """
    check_texts("texts", texts)
    if not isinstance(vectorizer, Vectorizer):
        return _checked(vectorizer, list(texts))
    low, high = vectorizer.lengths
    counter = CountVectorizer(
        analyzer=KINDS[vectorizer.kind], ngram_range=(low, high), vocabulary=list(vectorizer.terms)
    )
    parts = [torch.zeros(0, len(vectorizer.mean))]
    for start in range(0, len(texts), BLOCK):
        rows = _weighted(counter.transform(texts[start : start + BLOCK]), vectorizer.weights)
        known = torch.from_numpy(np.diff(rows.indptr) > 0)
        parts.append((_projected(rows, vectorizer) - vectorizer.mean) * known[:, None])
    return torch.cat(parts)


def read(reader: Vectorizer | Encode, items: Sequence[str]) -> tuple[Tensor, NDArray[np.int64], list[LeftOut]]:
    """Vectors of texts, which text each is, and what was left out: nothing; see :func:`vectors`."""
    return vectors(reader, items), np.arange(len(items)), []


def pack(reader: Vectorizer | Encode) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts that JSON can say, from which :func:`unpack` makes the reader again; none of a function."""
    if not isinstance(reader, Vectorizer):
        return {}, {}
    tensors = {name: getattr(reader, name) for name in ("weights", "directions", "mean")}
    return tensors, {"kind": reader.kind, "lengths": list(reader.lengths), "terms": list(reader.terms)}


def unpack(tensors: dict[str, Tensor], facts: dict[str, Any]) -> Vectorizer | None:
    """The vectorizer that was packed; None where it was a function of the user's own.

    Raises
    ------
    ValueError
        When the parts do not belong together.

    """
    if not facts:
        return None
    found = Vectorizer(facts["kind"], tuple(facts["lengths"]), tuple(facts["terms"]), **tensors)
    shapes = tuple(found.weights.shape), tuple(found.directions.shape)
    wanted = (len(found.terms),), (len(found.terms), len(found.mean))
    if shapes != wanted:
        raise ValueError(f"weights and directions should have shapes {wanted}; found {shapes}; write both parts anew")
    return found


def _weighted(counts: sparse.csr_matrix, weights: Tensor) -> sparse.csr_matrix:
    """Rows of length 1, or of nothing."""
    rows = sparse.csr_matrix(counts, dtype=np.float32, copy=True)
    rows.data = (1 + np.log(rows.data)) * weights.numpy()[rows.indices]
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    rows.data /= np.repeat(lengths, np.diff(rows.indptr))
    return rows


def _singular(rows: sparse.csr_matrix, width: int, state: int) -> np.ndarray[Any, Any]:
    """Leading right singular vectors as columns, (n_terms, at most width); none along which no text lies."""
    if width == min(rows.shape):  # the randomised search wants fewer than all
        _, sizes, directions = np.linalg.svd(rows.toarray(), full_matrices=False)
    else:
        found = TruncatedSVD(width, random_state=state).fit(rows)
        sizes, directions = found.singular_values_, found.components_
    return np.ascontiguousarray(directions[sizes > 1e-5 * sizes.max()].T)


def _projected(rows: sparse.csr_matrix, vectorizer: Vectorizer) -> Tensor:
    return torch.from_numpy(np.asarray(rows @ vectorizer.directions.numpy(), dtype=np.float32))


def _checked(encode: Encode, texts: list[str]) -> Tensor:
    """What the user's function gives, as a tensor."""
    if not callable(encode):
        raise TypeError(
            f"vectorizer should be what learn(...) gives, or a function of a list of strings; "
            f"found {type(encode).__name__}"
        )
    given = encode(texts)
    try:
        # A copy: what the user holds is never changed.
        X = torch.tensor(np.asarray(given.detach() if isinstance(given, Tensor) else given, dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the function of texts should give an array of numbers; found {type(given).__name__}"
        ) from error
    if X.ndim != 2 or len(X) != len(texts):
        raise ValueError(
            f"the function of texts should give shape ({len(texts)}, n_features); found {tuple(X.shape)}; "
            "give a row for each text"
        )
    if not bool(torch.isfinite(X).all()):
        place = int((~torch.isfinite(X)).any(1).nonzero()[0])
        raise ValueError(f"the function of texts should give finite numbers; found {X[place]} for texts[{place}]")
    return X
