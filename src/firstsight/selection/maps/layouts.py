"""Methods that lay rows out on a map: PCA, t-SNE (openTSNE), and where they are installed UMAP and PaCMAP.

t-SNE (van der Maaten and Hinton 2008) as openTSNE (Policar et al. 2024) has it, with Barnes-Hut gradients, but started
from the leading principal components at the size that a map has in the end, and without early exaggeration: on
a few hundred to a few thousand rows this keeps as many neighbours, keeps more of what is far, and takes half the
iterations. Its *broad* settings have two perplexities, one of them a fifth of the rows (Kobak and Berens 2019). UMAP
(McInnes et al. 2018, arXiv:1802.03426) and PaCMAP (Wang et al. 2021, arXiv:2012.04456) are imported when they are asked
for: each takes seconds to import and to compile.
"""

import logging
import warnings
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

import numpy as np
import openTSNE

from firstsight.selection.geometry import Floats, Ints, nearest, pairwise
from firstsight.selection.spaces import leading

__all__ = ["METHODS", "Setting", "lay_out", "linear_map", "settings_for"]

METHODS = ("pca", "tsne", "umap", "pacmap")
NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP", "pacmap": "PaCMAP"}
NUMBERS = {"tsne": "perplexity", "umap": "n_neighbors", "pacmap": "n_neighbors"}
FEWEST_ROWS = 10  # different ones, below which PCA alone proposes
MOST_TSNE_COMPONENTS = 2  # Barnes-Hut trees are quadtrees
TSNE = ((15, False), (30, False), (15, True))  # perplexities, and whether they are broad
OTHER = (15, True)  # in scalings beside the standard one
BROAD = 5  # rows to one of the larger perplexity
ITERATIONS = 250
ONE_AT_A_TIME = Lock()  # numba's threads end the process when two maps use them; filters of warnings are shared
START = 5.0  # deviation of t-SNE's first coordinate at the start


class Setting(NamedTuple):
    """A method with what is to be set.

    Parameters
    ----------
    method : str
        One of ``METHODS``.
    space : str
        The scaling that it reads, see :mod:`firstsight.selection.spaces`.
    number : int
        Perplexity or number of neighbours; 0 for PCA.
    broad : bool
        Whether t-SNE has a second perplexity, a fifth of the rows.

    """

    method: str
    space: str
    number: int
    broad: bool = False

    @property
    def name(self) -> str:
        """As a person says it, such as ``t-SNE, perplexity 30``."""
        words = NAMES[self.method] + (f", {NUMBERS[self.method]} {self.number}" if self.number else "")
        words += " and a fifth of the rows" if self.broad else ""
        return words if self.space == "standard" else f"{words}, {self.space} scaling"


def settings_for(n_rows: int, n_components: int, spaces: Sequence[str], methods: Sequence[str]) -> list[Setting]:
    """What is proposed for a table of so many different rows: a fixed list, PCA first.

    Parameters
    ----------
    n_rows : int
        Different rows.
    n_components : int
        Of the map.
    spaces : sequence of str
        Scalings of the table; ``standard`` is among them.
    methods : sequence of str
        Of ``METHODS``.

    Returns
    -------
    list of Setting

    """
    scalings = [space for space in spaces if space != "pca"]  # leading components of the standard one add nothing
    found = [Setting("pca", space, 0) for space in scalings if "pca" in methods]
    if n_rows < FEWEST_ROWS:
        return found or [Setting("pca", "standard", 0)]
    most = (n_rows - 1) // 3
    if "tsne" in methods and n_components <= MOST_TSNE_COMPONENTS:
        wanted = [("standard", *numbers) for numbers in TSNE]
        wanted += [(space, *OTHER) for space in scalings if space != "standard"]
        # Of few rows, a fifth is no more than the perplexity itself.
        some = [(space, min(number, most), broad and n_rows // BROAD > number) for space, number, broad in wanted]
        found += [Setting("tsne", *setting) for setting in dict.fromkeys(some)]
    found += [
        Setting(method, "standard", min(number, most))
        for method, number in (("umap", 15), ("pacmap", 10)) if method in methods
    ]  # fmt: skip
    return found or [Setting("pca", "standard", 0)]


def linear_map(X: Floats, n_components: int) -> Floats:
    """Directions of the leading principal components, (n_features, n_components); zeros where there are no more."""
    directions = leading(X, 1.0, n_components)
    found = np.zeros((X.shape[1], n_components))
    found[:, : directions.shape[1]] = directions
    return found


def lay_out(setting: Setting, X: Floats, n_components: int, seed: int) -> Floats:
    """A map of rows, all different.

    Parameters
    ----------
    setting : Setting
        The method.
    X : ndarray of shape (n_rows, n_features)
        In the setting's scaling; two rows or more.
    n_components : int
        Of the map, >= 1.
    seed : int
        Of what is random in UMAP and PaCMAP.

    Returns
    -------
    ndarray of shape (n_rows, n_components)
        float64, centred.

    """
    if setting.method == "pca":
        return np.asarray((X - X.mean(0)) @ linear_map(X, n_components), np.float64)
    if setting.method == "tsne":
        return _tsne(X, setting.number, setting.broad, n_components)
    made = _umap if setting.method == "umap" else _pacmap
    # They warn when they are imported, of what they miss, and when a graph falls into parts.
    with ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = np.asarray(made(X, setting.number, n_components, seed), np.float64)
    return np.asarray(found - found.mean(0))


def _tsne(X: Floats, perplexity: int, broad: bool, n_components: int) -> Floats:
    perplexities = [perplexity, len(X) // BROAD] if broad else [perplexity]
    near, radii = neighbours(X, min(3 * max(perplexities), len(X) - 1))
    index = openTSNE.nearest_neighbors.PrecomputedNeighbors(near, radii)
    # One thread: more are faster on idle cores alone, wait for one another on busy ones, and change the last digits.
    affinities = openTSNE.affinity.Multiscale(perplexities=perplexities, knn_index=index, n_jobs=1)
    start = (X - X.mean(0)) @ linear_map(X, n_components)
    start *= START / (start[:, 0].std() or 1.0)
    # A table of one column gives a start on a line, which no gradient leaves.
    flat = start.std(0) < 1e-3 * START
    if flat.any():
        start[:, flat] = np.random.default_rng(0).normal(0, 1e-2 * START, (len(X), int(flat.sum())))
    found = openTSNE.TSNEEmbedding(
        start, affinities, negative_gradient_method="bh", n_jobs=1, learning_rate="auto", random_state=0
    )
    places = np.array(found.optimize(ITERATIONS, momentum=0.8), np.float64)
    return np.asarray(places - places.mean(0))


def neighbours(X: Floats, count: int) -> tuple[Ints, Floats]:
    """The nearest other rows of each row and how far they are, (n_rows, count) each."""
    distances = pairwise(X, X)
    np.fill_diagonal(distances, np.inf)
    near, radii = nearest(distances, count)
    return near, radii.astype(np.float64)


def _umap(X: Floats, n_neighbors: int, n_components: int, seed: int) -> Floats:
    try:
        import umap
    except ImportError:
        raise ImportError(_missing("umap", "umap-learn")) from None
    made = umap.UMAP(n_components=n_components, n_neighbors=max(n_neighbors, 2), random_state=seed, n_jobs=1)
    return np.asarray(made.fit_transform(X))


def _pacmap(X: Floats, n_neighbors: int, n_components: int, seed: int) -> Floats:
    try:
        import pacmap
    except ImportError:
        raise ImportError(_missing("pacmap", "pacmap")) from None
    # It starts from as many principal components as the map has.
    X = np.pad(X, ((0, 0), (0, max(0, n_components - X.shape[1]))))
    logger = logging.getLogger("pacmap")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it says that a random state was set
    try:
        made = pacmap.PaCMAP(n_components=n_components, n_neighbors=n_neighbors, random_state=seed)
        return np.asarray(made.fit_transform(np.asarray(X, np.float32), init="pca"))
    finally:
        logger.setLevel(level)


def _missing(method: str, package: str) -> str:
    return f"methods with {method!r} need {package}; install it with: pip install 'firstsight[maps]'"
