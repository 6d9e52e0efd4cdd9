"""A portfolio of classical algorithms proposes partitions of one table.

Work is a list of :class:`Work`: an algorithm, a scaling and numbers of clusters. Algorithms that need the same
distances, linkage or spanning tree share them.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from firstsight.selection.centres import lloyd, plus_plus
from firstsight.selection.density_tree import DensityTree, cut_density_tree, density_tree
from firstsight.selection.geometry import Floats, Geometry, Ints, geometry
from firstsight.selection.hierarchies import Peaks, complete, cut_linkage, cut_modes, genie, peaks_of
from firstsight.selection.mixtures import Covariance, fit_mixtures
from firstsight.selection.spaces import Space, apply, leading

MOST_CLUSTERS = 60  # a partition of more is not looked at
COMPACT = 12  # columns in which Gaussians have a full covariance


class Work(NamedTuple):
    """Something to propose.

    Parameters
    ----------
    space : str
        Name of a scaling.
    algorithm : str
        A key of :data:`ALGORITHMS`.
    settings : tuple of int
        Numbers of clusters; of HDBSCAN the smallest cluster, in rows.

    """

    space: str
    algorithm: str
    settings: tuple[int, ...]


class Proposal(NamedTuple):
    """A partition and where it comes from.

    Parameters
    ----------
    algorithm, space : str
        As in :class:`Work`.
    setting : int
        Likewise.
    labels : ndarray of shape (n_rows,)
        From 0 without gaps.

    """

    algorithm: str
    space: str
    setting: int
    labels: Ints


class Scene:
    """A table in one scaling, and what several algorithms need of it, made when first asked for.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Scaled.
    seed : int
        Of random starts.

    """

    def __init__(self, X: Floats, seed: int) -> None:
        self.X, self.seed = X, seed
        self.found_kmeans: dict[int, Ints] = {}
        self.density_trees: dict[int, DensityTree] = {}

    @cached_property
    def geometry(self) -> Geometry:
        """Distances, neighbours, densities and the spanning tree."""
        return geometry(self.X)

    @cached_property
    def first_copy(self) -> Ints:
        """The first row equal to each."""
        _, first, inverse = np.unique(self.X, axis=0, return_index=True, return_inverse=True)
        return first[inverse.ravel()]

    @cached_property
    def peaks(self) -> Peaks:
        """Of the density."""
        return peaks_of(self.geometry)

    @cached_property
    def compact(self) -> Floats:
        """In at most twelve columns."""
        return self.X if self.X.shape[1] <= COMPACT else self.X @ leading(self.X, 1.0, COMPACT)

    @cached_property
    def condensed(self) -> NDArray[np.float64]:
        """Distances of pairs, as scipy takes them."""
        return np.asarray(squareform(self.geometry.distances, checks=False), np.float64)

    @cached_property
    def ward_tree(self) -> Floats:
        """Ward's linkage."""
        return np.asarray(linkage(self.condensed, "ward"))

    def ward(self, counts: Sequence[int]) -> dict[int, Ints]:
        """Ward 1963."""
        return cut_linkage(self.ward_tree, list(counts))

    def average(self, counts: Sequence[int]) -> dict[int, Ints]:
        """Average linkage."""
        return cut_linkage(linkage(self.condensed, "average"), list(counts))

    def kmeans(self, counts: Sequence[int]) -> dict[int, Ints]:
        """The best of three runs: from Ward's clusters, and twice from k-means++."""
        missing = [count for count in counts if count not in self.found_kmeans]
        if missing:
            generator = np.random.default_rng(self.seed)
            starts = [*self.ward(missing).values()]
            for _ in range(2):
                starts += plus_plus(self.X, missing, generator)
            labels, inertia = lloyd(self.X, starts)
            for place, count in enumerate(missing):
                runs = range(place, len(starts), len(missing))
                self.found_kmeans[count] = in_order(labels[min(runs, key=lambda run: float(inertia[run]))])
        return {count: self.found_kmeans[count] for count in counts}

    def mixture(self, counts: Sequence[int], covariance: Covariance) -> dict[int, Ints]:
        """Gaussian mixtures from the clusters of k-means."""
        starts = self.kmeans(counts)
        fitted = fit_mixtures(self.compact, list(starts.values()), covariance)
        return dict(zip(starts, fitted.labels, strict=True))

    def genie(self, counts: Sequence[int], gini_limit: float, core_share: float) -> dict[int, Ints]:
        """Genie-like linkage."""
        return genie(self.geometry, list(counts), gini_limit, core_share)

    def modes(self, counts: Sequence[int]) -> dict[int, Ints]:
        """Density modes."""
        return cut_modes(self.peaks, list(counts))

    def hdbscan(self, smallest: Sequence[int], n_neighbors: int) -> dict[int, Ints]:
        """Rows that are called noise join the nearest cluster."""
        if n_neighbors not in self.density_trees:
            self.density_trees[n_neighbors] = density_tree(self.geometry, n_neighbors)
        found = cut_density_tree(self.density_trees[n_neighbors], smallest)
        return {size: complete(labels, self.geometry) for size, labels in found.items()}


ALGORITHMS: dict[str, Callable[[Scene, Sequence[int]], dict[int, Ints]]] = {
    "k-means": Scene.kmeans,
    "ward": Scene.ward,
    "average": Scene.average,
    "gmm-full": lambda scene, settings: scene.mixture(settings, "full"),
    "gmm-diag": lambda scene, settings: scene.mixture(settings, "diag"),
    "gmm-tied": lambda scene, settings: scene.mixture(settings, "tied"),
    "genie": lambda scene, settings: scene.genie(settings, 0.3, 1.0),
    "genie-loose": lambda scene, settings: scene.genie(settings, 0.7, 1.0),
    "genie-core": lambda scene, settings: scene.genie(settings, 0.3, 0.9),
    "genie-dense": lambda scene, settings: scene.genie(settings, 0.5, 0.75),
    "modes": Scene.modes,
    "hdbscan": lambda scene, settings: scene.hdbscan(settings, 5),
    "hdbscan-smooth": lambda scene, settings: scene.hdbscan(settings, 12),
}


def scenes_of(X: Floats, spaces: dict[str, Space], seed: int) -> dict[str, Scene]:
    """A table (n_rows, n_features) in each of its scalings."""
    return {name: Scene(apply(space, X), seed) for name, space in spaces.items()}


def propose(scenes: dict[str, Scene], work: Sequence[Work]) -> list[Proposal]:
    """Do the work.

    Parameters
    ----------
    scenes : dict of str to Scene
        By the name of their scaling.
    work : sequence of Work
        What to do; numbers of clusters not below the number of rows are passed over.

    Returns
    -------
    list of Proposal
        Each partition once, from the first that found it.

    """
    found = []
    for space, algorithm, settings in work:
        scene = scenes[space]
        possible = tuple(setting for setting in settings if setting < len(scene.X))
        if possible:
            parts = ALGORITHMS[algorithm](scene, possible)
            # Equal rows are in one cluster, also where an algorithm would part them.
            same = scenes["standard"].first_copy
            found += [Proposal(algorithm, space, count, in_order(part[same])) for count, part in parts.items()]
    return distinct([proposal for proposal in found if 0 < proposal.labels.max() < MOST_CLUSTERS])


def distinct(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Each partition once, from the first that found it."""
    found: dict[bytes, Proposal] = {}
    for proposal in proposals:
        found.setdefault(proposal.labels.astype(np.int16).tobytes(), proposal)
    return list(found.values())


def in_order(labels: Ints) -> Ints:
    """The same partition with labels from 0 in the order of their first rows."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
