"""Proposals and what is said of them: equal to the field's own implementations, finite on every table, stable."""

import copy
import json
import pickle
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform
from scipy.stats import multivariate_normal
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score, davies_bouldin_score, silhouette_score
from sklearn.mixture import GaussianMixture

from firstsight import pretrained
from firstsight.selection import assign as assigning
from firstsight.selection import choose as choosing
from firstsight.selection.assign import anchors_of, assign, support
from firstsight.selection.centres import lloyd, plus_plus
from firstsight.selection.choose import COUNTS, MEMBERS, choose, first_work, look, rate, second_work
from firstsight.selection.coreset import some_rows
from firstsight.selection.crowd import agreements, crowd_of, recurrences, shared_rows
from firstsight.selection.density_tree import cut_density_tree, density_tree
from firstsight.selection.describe import describe
from firstsight.selection.explain import WORDS, grouped, word_of
from firstsight.selection.geometry import geometry, pairwise
from firstsight.selection.hierarchies import complete, cut_linkage, cut_modes, genie, peaks_of
from firstsight.selection.judge import MODELS, Judge, Settings
from firstsight.selection.matrix import learn_encoding, numbers_of
from firstsight.selection.mixtures import fit_mixtures, gaussians, log_densities, moments
from firstsight.selection.portfolio import ALGORITHMS, Scene, Work, distinct, in_order, propose
from firstsight.selection.rows import FAMILIES, SPACES, cluster_opinions, cluster_rows, family_of, proposal_rows
from firstsight.selection.spaces import apply, learn_spaces
from firstsight.selection.stray import stray_rows

SEEDS = range(3)


def normal(seed, n_rows=80, n_features=3):
    return np.random.default_rng(seed).normal(size=(n_rows, n_features))


def blobs(seed, n_rows=150, n_clusters=3, spread=1.0, n_features=2):
    X, _ = make_blobs(n_rows, n_features, centers=n_clusters, cluster_std=spread, random_state=seed)
    return (X - X.mean(0)) / X.std(0)


def moons(seed, n_rows=150):
    X, _ = make_moons(n_rows, noise=0.06, random_state=seed)
    return (X - X.mean(0)) / X.std(0)


def some_partition(rng, n_rows, n_clusters):
    """Random labels from 0 without gaps."""
    return rng.permutation(np.arange(n_rows) % n_clusters * (rng.random(n_rows) < 0.8))


def same(one, other):
    return adjusted_rand_score(one, other) == 1


# --- geometry --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_geometry_is_what_scipy_measures(seed):
    X = normal(seed) + 100
    found, expected = geometry(X), squareform(pdist(X))
    np.testing.assert_allclose(found.distances, expected, atol=1e-3)
    np.testing.assert_array_equal(found.distances, found.distances.T)
    np.testing.assert_allclose(found.lengths.sum(), minimum_spanning_tree(expected).sum(), rtol=1e-5)
    assert (np.diff(found.lengths) >= 0).all()
    np.testing.assert_allclose(found.lengths, expected[tuple(found.tree.T)], atol=1e-3)
    np.fill_diagonal(expected, np.inf)
    np.testing.assert_array_equal(found.neighbors, np.argsort(expected, axis=1)[:, :15])
    np.testing.assert_allclose(found.density, -np.log(np.sort(expected, axis=1)[:, :10].mean(1)), atol=1e-4)


def test_geometry_of_two_rows():
    found = geometry(np.array([[0.0], [2.0]]))
    assert found.tree.tolist() == [[0, 1]]
    assert found.lengths.tolist() == [2.0]
    assert found.neighbors.tolist() == [[1], [0]]


def test_copies_have_a_finite_density():
    found = geometry(np.concatenate([np.zeros((40, 2)), normal(0, 60, 2)]))
    assert np.isfinite(found.density).all()
    assert found.density[:40].min() > found.density[40:].max()
    assert np.isfinite(geometry(np.zeros((5, 2))).density).all()


def test_pairwise_keeps_digits_far_from_the_origin():
    X = normal(0) + 1e4
    np.testing.assert_allclose(pairwise(X[:5], X), squareform(pdist(X))[:5], atol=2e-3)


# --- hierarchies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_genie_without_a_limit_is_single_linkage(seed):
    X = normal(seed)
    counts = [1, 2, 3, 5, 10, 40, 80]
    expected = cut_linkage(linkage(X, "single"), counts)
    found = genie(geometry(X), counts, 1.0)
    assert sorted(found) == counts
    for count in counts:
        assert same(found[count], expected[count])


def gini(sizes):
    return np.abs(sizes[:, None] - sizes[None]).sum() / 2 / (len(sizes) - 1) / sizes.sum()


@pytest.mark.parametrize("limit", [0.0, 0.1, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("core_share", [1.0, 0.75])
def test_genie_gives_as_many_clusters_as_asked_for(limit, core_share):
    X, counts = normal(0), [2, 3, 7, 20, 60, 81]
    found = genie(geometry(X), counts, limit, core_share)
    assert sorted(found) == counts[:-1]
    for count, labels in found.items():
        assert np.unique(labels).tolist() == list(range(count))


def brute_genie(X, count, limit):
    """The algorithm as the paper tells it, on sets of rows."""
    distances = squareform(pdist(X))
    tree = minimum_spanning_tree(distances).tocoo()
    edges = sorted(zip(tree.data, tree.row.tolist(), tree.col.tolist(), strict=True))
    of = {row: {row} for row in range(len(X))}
    while len(clusters := {id(part): part for part in of.values()}) > count:
        sizes = np.array([len(part) for part in clusters.values()])
        small = sizes.min() if gini(sizes) > limit else len(X)
        edge = next(e for e in edges if len(of[e[1]]) <= small or len(of[e[2]]) <= small)
        edges.remove(edge)
        merged = of[edge[1]] | of[edge[2]]
        of |= dict.fromkeys(merged, merged)
    numbers = {key: place for place, key in enumerate(clusters)}
    return np.array([numbers[id(of[row])] for row in range(len(X))])


@pytest.mark.parametrize("limit", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", SEEDS)
def test_genie_is_the_papers(limit, seed):
    X = normal(seed, 50, 2)
    found = genie(geometry(X), [2, 4, 9], limit)
    for count, labels in found.items():
        assert same(labels, brute_genie(X, count, limit))


def test_rows_without_a_label_get_that_of_the_nearest():
    found = geometry(np.array([[0.0], [1.0], [1.4], [5.0], [9.0]]))
    assert complete(np.array([0, -1, -1, -1, 1]), found).tolist() == [0, 0, 0, 1, 1]
    assert complete(np.full(5, -1), found).tolist() == [0] * 5
    assert complete(np.array([1, 0, 1, 0, 1]), found).tolist() == [1, 0, 1, 0, 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_modes_are_nested_and_as_many_as_asked_for(seed):
    peaks = peaks_of(geometry(blobs(seed)))
    n_peaks = len(peaks.rows)
    assert np.isinf(peaks.prominence).sum() == 1
    assert peaks.prominence[0] == np.inf
    assert (peaks.prominence[1:] >= 0).all()
    assert (peaks.parent[1:] < np.arange(1, n_peaks)).all()
    np.testing.assert_array_equal(peaks.basin[peaks.rows], np.arange(n_peaks))
    found = cut_modes(peaks, list(range(1, n_peaks + 2)))
    assert sorted(found) == list(range(1, n_peaks + 1))
    for count, labels in found.items():
        assert labels.max() + 1 == count
        if count > 1:  # each part of the finer partition is in one part of the coarser
            assert len({*zip(labels.tolist(), found[count - 1].tolist(), strict=True)}) == count
    assert same(found[n_peaks], peaks.basin)


def test_the_most_prominent_modes_are_the_blobs():
    X, y = make_blobs(300, centers=[[0, 0], [8, 0], [0, 8]], random_state=0)
    assert same(cut_modes(peaks_of(geometry(X)), [3])[3], y)


# --- density trees ---------------------------------------------------------------------------------------------------


def hdbscan_agrees(make, seed, n_neighbors, size):
    """ARI with scikit-learn's, the best over orders of rows: equal distances leave several right answers."""
    X = make(seed)
    found = cut_density_tree(density_tree(geometry(X), n_neighbors), [size])
    agreement = []
    for order in (np.arange(len(X)), *(np.random.default_rng(place).permutation(len(X)) for place in range(3))):
        expected = HDBSCAN(min_cluster_size=size, min_samples=n_neighbors + 1, copy=True).fit_predict(X[order])
        if size not in found:
            agreement.append(float(expected.max() <= 0))
            continue
        labels = found[size][order]
        assert np.bincount(labels[labels >= 0]).min() >= size
        agreement.append(adjusted_rand_score(labels, expected) if ((labels < 0) == (expected < 0)).all() else 0)
    return max(agreement)


@pytest.mark.parametrize("make", [blobs, moons])
@pytest.mark.parametrize("size", [4, 8, 15, 30])
def test_density_trees_are_hdbscan(make, size):
    # With one neighbour no two edges of the hierarchy are equally long, and the answer is unique.
    assert [hdbscan_agrees(make, seed, 1, size) for seed in range(5)] == [1] * 5
    agreement = [hdbscan_agrees(make, seed, n_neighbors, size) for seed in range(5) for n_neighbors in (5, 12)]
    assert min(agreement) > 0.95
    assert np.mean(np.array(agreement) == 1) >= 0.5


def test_density_trees_of_copies():
    X = np.repeat(np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]]), 20, axis=0)
    found = cut_density_tree(density_tree(geometry(X), 5), [5, 30])
    assert same(found[5], np.repeat([0, 1, 2], 20))
    assert 30 not in found


# --- centres ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_lloyd_is_kmeans(seed):
    X = blobs(seed, 200, 5, 1.5)
    starts = plus_plus(X, [2, 3, 5, 8], np.random.default_rng(seed))
    labels, inertia = lloyd(X, starts)
    for start, label, mean in zip(starts, labels, inertia, strict=True):
        centres = np.stack([X[start == part].mean(0) for part in range(start.max() + 1)])
        fitted = KMeans(len(centres), init=centres, n_init=1, max_iter=300, tol=0).fit(X)
        assert fitted.n_iter_ < 40
        assert same(label, fitted.labels_)
        np.testing.assert_allclose(mean, fitted.inertia_ / len(X), rtol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_plus_plus_starts_are_nested(seed):
    X, counts = normal(seed), [1, 2, 3, 4, 9, 10]
    starts = plus_plus(X, counts, np.random.default_rng(seed))
    for count, start in zip(counts, starts, strict=True):
        assert np.unique(start).tolist() == list(range(count))
    for fewer, more in ((0, 1), (1, 2), (2, 3), (4, 5)):
        stayed = starts[more] < counts[more] - 1
        assert not stayed.all()
        np.testing.assert_array_equal(starts[fewer][stayed], starts[more][stayed])


def test_plus_plus_ends_at_the_different_rows():
    X = np.repeat(np.arange(3.0), 10)[:, None]
    starts = plus_plus(X, [2, 3, 5], np.random.default_rng(0))
    assert [start.max() + 1 for start in starts] == [2, 3, 3]
    assert lloyd(X, starts)[1].tolist()[1:] == pytest.approx([0, 0], abs=1e-6)


# --- mixtures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["full", "diag", "tied"])
@pytest.mark.parametrize("seed", SEEDS)
def test_mixtures_are_those_of_scikit_learn(covariance, seed):
    X = blobs(seed, 300, 4, 2.0, 3)
    starts = plus_plus(X, [2, 4], np.random.default_rng(seed))
    found = fit_mixtures(X, starts, covariance, steps=1000, tolerance=1e-9)
    first = 0
    for place, start in enumerate(starts):
        k = start.max() + 1
        share = np.eye(k)[start]
        size, means, covariances = gaussians(share.T @ moments(X), 3, 1e-4)
        pooled = np.einsum("k,kij->ij", size / len(X), covariances)
        by_kind = {"full": covariances, "diag": np.diagonal(covariances, axis1=1, axis2=2), "tied": pooled}
        precisions = 1 / by_kind["diag"] if covariance == "diag" else np.linalg.inv(by_kind[covariance])
        expected = GaussianMixture(
            k, covariance_type=covariance, weights_init=size / len(X), means_init=means, precisions_init=precisions,
            max_iter=1000, tol=1e-9, reg_covar=1e-4,
        ).fit(X)  # fmt: skip
        assert found.log_likelihood[place] == pytest.approx(expected.score(X), abs=1e-4)
        np.testing.assert_allclose(found.weights[first : first + k], expected.weights_, atol=1e-2)
        assert adjusted_rand_score(found.labels[place], expected.predict(X)) > 0.98
        first += k


def test_likelihoods_never_fall():
    X = blobs(1, 200, 4, 2.0)
    starts = plus_plus(X, [3], np.random.default_rng(0))
    gained = [fit_mixtures(X, starts, "full", steps=n, tolerance=0).log_likelihood[0] for n in range(8)]
    assert (np.diff(gained) > -1e-5).all()
    assert gained[-1] > gained[0] + 1e-3


@pytest.mark.parametrize("d", [1, 2, 5])
def test_log_densities_are_those_of_scipy(d):
    rng = np.random.default_rng(d)
    X, means = rng.normal(size=(30, d)), rng.normal(size=(3, d))
    roots = rng.normal(size=(3, d, d + 2))
    covariances = roots @ roots.transpose(0, 2, 1)
    expected = [multivariate_normal(m, c).logpdf(X) for m, c in zip(means, covariances, strict=True)]
    np.testing.assert_allclose(log_densities(moments(X), means, covariances), expected, rtol=1e-8, atol=1e-8)


def test_moments_give_sizes_means_and_covariances():
    X, rng = normal(0, 60), np.random.default_rng(0)
    labels = some_partition(rng, 60, 3)
    size, means, covariances = gaussians(np.eye(3)[labels].T @ moments(X), 3, 0.5)
    for part in range(3):
        rows = X[labels == part]
        assert size[part] == len(rows)
        np.testing.assert_allclose(means[part], rows.mean(0))
        np.testing.assert_allclose(covariances[part], np.cov(rows, rowvar=False, bias=True) + 0.5 * np.eye(3))


# --- crowds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_agreements_are_adjusted_rand_indices(seed):
    rng = np.random.default_rng(seed)
    partitions = [some_partition(rng, 90, k) for k in (2, 3, 3, 7, 20)] + [np.arange(90)]
    partitions.append(in_order((partitions[0] + 1) % 2))
    expected = [[adjusted_rand_score(one, other) for one in partitions] for other in partitions]
    np.testing.assert_allclose(agreements(crowd := crowd_of(partitions), shared_rows(crowd)), expected, atol=1e-9)


def test_agreements_of_partitions_that_are_trivial():
    one, each = np.zeros(5, int), np.arange(5)
    np.testing.assert_allclose(agreements(crowd := crowd_of([one, each]), shared_rows(crowd)), [[1, 0], [0, 1]])


def test_a_cluster_that_all_share_recurs():
    partitions = [np.repeat(parts, 10) for parts in ([0, 1, 1, 2], [0, 1, 2, 2], [0, 1, 1, 1])]
    mean, share = recurrences(crowd := crowd_of(partitions), shared_rows(crowd))
    assert ((mean >= 0) & (mean <= 1) & (share >= 0) & (share <= 1)).all()
    np.testing.assert_allclose(mean[[0, 3, 6]], 1)
    np.testing.assert_allclose(share[[0, 3, 6]], 1)
    # {1, 2} of the first: itself, half of it, two thirds of the three.
    assert mean[1] == pytest.approx((1 + 0.5 + 2 / 3) / 3, abs=1e-6)
    assert share[1] == pytest.approx(1 / 3)


def test_crowds_gather():
    partitions, values = [np.array([0, 0, 1, 1, 1]), np.array([0, 1, 2, 1, 0])], np.arange(5.0)
    crowd = crowd_of(partitions)
    assert crowd.sizes.tolist() == [2, 3, 2, 2, 1]
    assert crowd.sums(values).tolist() == [1, 9, 4, 4, 2]
    assert crowd.means(np.stack([values, -values])).tolist() == [0.5, 3, -2, -2, -2]
    assert crowd.highest(values).tolist() == [1, 4, 4, 3, 2]
    assert crowd.least(crowd.sizes).tolist() == [2, 1]
    assert crowd.most(crowd.sizes).tolist() == [3, 2]
    np.testing.assert_allclose(crowd.mean(crowd.sizes), [2.5, 5 / 3])
    np.testing.assert_allclose(crowd.weighted(crowd.sizes), [13 / 5, 9 / 5])


# --- descriptions ----------------------------------------------------------------------------------------------------


def described(X, partitions):
    scene = Scene(X, 0)
    return describe(crowd_of(partitions), scene.geometry, scene.peaks, scene.compact)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("d", [1, 3, 12])
def test_measures_are_those_of_scikit_learn(seed, d):
    X, rng = blobs(seed, 100, 3, 2.0, d), np.random.default_rng(seed)
    partitions = [some_partition(rng, 100, k) for k in (2, 4, 9)] + lloyd(X, plus_plus(X, [2, 3, 5], rng))[0]
    partitions.append(in_order(np.concatenate([[1], np.zeros(99, int)])))  # a cluster of one row
    found = described(X, partitions).partitions
    expected = [silhouette_score(X, labels) for labels in partitions]
    np.testing.assert_allclose(found["silhouette"], expected, atol=1e-4)
    expected = [np.log(calinski_harabasz_score(X, labels)) for labels in partitions]
    np.testing.assert_allclose(found["calinski"], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.exp(found["log_k"]), [labels.max() + 1 for labels in partitions])


def crowd_and_scene(seed):
    X, rng = blobs(seed, 120, 3, 2.0, 3), np.random.default_rng(seed)
    partitions = [some_partition(rng, 120, k) for k in (2, 6)] + lloyd(X, plus_plus(X, [2, 3, 5, 12], rng))[0]
    return X, [in_order(labels) for labels in partitions]


@pytest.mark.parametrize("seed", SEEDS)
def test_measures_do_not_depend_on_the_numbers_of_clusters(seed):
    X, partitions = crowd_and_scene(seed)
    other = [labels.max() - labels for labels in partitions]
    one, two = described(X, partitions), described(X, other)
    crowd = crowd_of(partitions)
    place = np.concatenate([o + np.arange(k)[::-1] for o, k in zip(crowd.offsets, crowd.counts, strict=True)])
    for name, values in one.partitions.items():
        assert np.isfinite(values).all()
        np.testing.assert_allclose(two.partitions[name], values, rtol=1e-4, atol=1e-4, err_msg=name)
    for name, values in one.clusters.items():
        assert np.isfinite(values).all()
        np.testing.assert_allclose(two.clusters[name][place], values, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("seed", SEEDS)
def test_measures_hardly_depend_on_the_order_of_rows(seed):
    X, partitions = crowd_and_scene(seed)
    order = np.random.default_rng(seed).permutation(len(X))
    one, two = described(X, partitions), described(X[order], [labels[order] for labels in partitions])
    for part in ("partitions", "clusters"):
        for name, values in getattr(one, part).items():
            np.testing.assert_allclose(getattr(two, part)[name], values, rtol=1e-3, atol=1e-3, err_msg=name)


def test_right_partitions_measure_better():
    X, y = make_blobs(150, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    wrong = some_partition(np.random.default_rng(0), 150, 3)
    found = described((X - X.mean(0)) / X.std(0), [in_order(y), in_order(wrong)]).partitions
    more = ("silhouette", "calinski", "bic", "posterior", "purity_excess", "separation_worst", "peaks_margin")
    less = ("davies", "gap_worst", "border_share", "tree_inside", "peaks_together", "unexplained", "gaussian_error")
    for name in (*more, "purity_1", "prominence_worst", "pass_depth_worst", "tree_contrast"):
        assert found[name][0] > found[name][1], name
    for name in less:
        assert found[name][0] < found[name][1], name
    assert davies_bouldin_score(X, y) < davies_bouldin_score(X, wrong)


# --- spaces ----------------------------------------------------------------------------------------------------------


def test_the_standard_scaling_does_not_know_units():
    X = normal(0, 60, 4) + 5
    other = X * np.array([1000, 1, 1e-4, -1])
    groups = np.arange(4)
    one, two = apply(learn_spaces(X, groups)["standard"], X), apply(learn_spaces(other, groups)["standard"], other)
    np.testing.assert_allclose(two * [1, 1, 1, -1], one, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(one.var(0), 1)
    np.testing.assert_allclose(one.mean(0), 0, atol=1e-12)


def test_a_category_counts_as_much_as_a_number():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=100) * 7, np.eye(4)[rng.integers(4, size=100)], rng.normal(size=100)])
    groups = np.array([0, 1, 1, 1, 1, 2])
    variances = apply(learn_spaces(X, groups)["standard"], X).var(0)
    np.testing.assert_allclose(np.bincount(groups, variances), 1)


def test_constant_columns_vanish():
    X = normal(0, 50, 3)
    more = np.column_stack([np.full(50, 3.0), X[:, :2], np.full(50, 1e9) + 1e-7, X[:, 2], np.zeros(50)])
    for name, space in learn_spaces(more, np.arange(6)).items():
        expected = apply(learn_spaces(X, np.arange(3))[name], X)
        np.testing.assert_allclose(apply(space, more), expected, atol=1e-9)


def test_each_row_is_scaled_alone():
    rng = np.random.default_rng(0)
    near = rng.normal(size=(80, 1)) + 0.1 * rng.normal(size=(80, 3))
    X = np.column_stack([np.exp(rng.normal(size=(80, 2)) * 2), near, rng.integers(3, size=80)])
    spaces = learn_spaces(X, np.arange(6))
    assert {"standard", "pca", "normal"} <= set(spaces)
    assert next(iter(spaces)) == "standard"
    for space in spaces.values():
        Z = apply(space, X)
        assert np.isfinite(Z).all()
        np.testing.assert_allclose(np.concatenate([apply(space, row[None]) for row in X]), Z, atol=1e-10)
    bent = apply(spaces["normal"], X)
    np.testing.assert_allclose(bent.std(0), 1, atol=0.05)
    assert np.abs(bent[:, :2]).max() < 4
    # Far outside the knots a row stays at the last one.
    assert np.isfinite(apply(spaces["normal"], X * 1e6)[:, :2]).all()


def test_columns_that_vary_by_rounding_alone_have_no_scaling():
    X = np.full((50, 2), 1e9) + np.arange(50)[:, None] % 7 * 1.2e-7
    with pytest.raises(ValueError, match="column"):
        learn_spaces(X, np.arange(2))


def test_scalings_that_suit():
    X = normal(0, 200, 2)
    assert set(learn_spaces(X, np.arange(2))) == {"standard"}
    assert set(learn_spaces(X * [1, 3], np.arange(2))) == {"standard", "common"}
    assert set(learn_spaces(X * [1, 300], np.arange(2))) == {"standard"}
    assert "normal" in learn_spaces(np.exp(2 * X), np.arange(2))
    assert "common" not in learn_spaces((X * [1, 3]).round(), np.arange(2))
    common = learn_spaces(X * [1, 3], np.arange(2))["common"]
    np.testing.assert_allclose(apply(common, X * [1, 3]).var(0).mean(), 1)
    near = X[:, :1] + 0.01 * normal(1, 200, 3)
    assert apply(learn_spaces(near, np.arange(3))["pca"], near).shape == (200, 1)


def test_many_columns_become_thirty():
    X = normal(0, 100, 50)
    spaces = learn_spaces(X, np.arange(50))
    assert apply(spaces["standard"], X).shape == (100, 30)
    assert "common" not in spaces


# --- samples of rows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [30, 100, 500])
def test_some_rows_do_not_depend_on_their_order(most):
    X = np.concatenate([normal(0, 90, 2), np.zeros((10, 2)), -np.zeros((10, 2)), normal(0, 10, 2)])
    rows = some_rows(X, most, 7)
    assert len(rows) == len(set(rows.tolist())) == min(most, len(X))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(X))
        np.testing.assert_array_equal(X[order][some_rows(X[order], most, 7)], X[rows])


def test_another_seed_is_another_sample():
    X = normal(0, 1000, 1)
    one, two = set(some_rows(X, 100, 0).tolist()), set(some_rows(X, 100, 1).tolist())
    assert len(one & two) < 30
    np.testing.assert_array_equal(some_rows(X, 100, 0), some_rows(X, 100, 0))


def test_samples_are_uniform():
    X = np.arange(400.0)[:, None]
    drawn = np.zeros(400)
    for seed in range(400):
        drawn[some_rows(X, 40, seed)] += 1
    assert drawn.sum() == 16_000
    # Binomial(400, .1): mean 40, deviation 6; correlation with the place or the value would be a bias.
    assert abs(drawn.std() - 6) < 1
    assert abs(np.corrcoef(drawn, np.arange(400))[0, 1]) < 0.2


def test_copies_are_drawn_in_proportion():
    X = np.concatenate([np.zeros((1000, 1)), np.ones((1000, 1))])
    assert 400 < X[some_rows(X, 1000, 0)].sum() < 600


# --- assignment ------------------------------------------------------------------------------------------------------


def clustered(n_rows=120):
    X, y = make_blobs(n_rows, centers=[[0, 0], [20, 0], [0, 20]], random_state=0)
    strength = np.random.default_rng(0).random(n_rows)
    labels = y.copy()
    labels[::10] = -1
    return X, labels, np.where(labels < 0, 0, strength)


@pytest.mark.parametrize("noise", [True, False])
def test_known_rows_keep_what_they_have(noise):
    X, labels, strength = clustered()
    found, how = assign(anchors_of(X, labels, strength, noise=noise), X)
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_allclose(how, strength)


def test_known_rows_keep_what_they_have_however_near():
    X = np.concatenate([[2.8], -0.35 + np.arange(12) * 1e-9])[:, None]
    labels = np.arange(13) % 3
    np.testing.assert_array_equal(assign(anchors_of(X, labels, np.ones(13), noise=False), X)[0], labels)


def test_far_rows_are_noise_where_noise_is_allowed():
    X, labels, strength = clustered()
    far = np.array([[100.0, 0.0], [0.0, 90.0]])
    labels = np.maximum(labels, 0)
    found, how = assign(anchors_of(X, labels, strength, noise=True), far)
    assert found.tolist() == [-1, -1]
    assert how.tolist() == [0, 0]
    assert set(assign(anchors_of(X, labels, strength, noise=False), far)[0].tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("noise", [True, False])
def test_pieces_agree_with_the_whole(monkeypatch, noise):
    X, labels, strength = clustered()
    anchors, new = anchors_of(X, labels, strength, noise=noise), normal(3, 200, 2) * 15
    whole = assign(anchors, new)
    monkeypatch.setattr(assigning, "CHUNK", 7)
    pieces = assign(anchors, new)
    np.testing.assert_array_equal(pieces[0], whole[0])
    np.testing.assert_allclose(pieces[1], whole[1])
    assert ((whole[1] >= 0) & (whole[1] <= 1)).all()


def test_copies_have_one_label():
    X = np.repeat(np.array([[0.0], [1.0], [5.0]]), 2, axis=0)
    anchors = anchors_of(X, np.array([0, 1, 0, 0, 1, 1]), np.array([1, 0, 1, 1, 0.5, 0.5]), noise=False)
    labels, strength = assign(anchors, X)
    assert labels.tolist() == [0, 0, 0, 0, 1, 1]
    np.testing.assert_allclose(strength, [0.5, 0.5, 1, 1, 0.5, 0.5])


def test_one_anchor():
    labels, strength = assign(anchors_of(np.zeros((3, 2)), np.zeros(3, int), np.ones(3), noise=True), normal(0, 5, 2))
    assert labels.tolist() == [0] * 5
    assert strength.tolist() == [1] * 5


def test_support_counts_neighbours():
    X, y = make_blobs(60, centers=[[0, 0], [50, 0]], random_state=0)
    np.testing.assert_allclose(support(geometry(X), y), 1)
    mixed = support(geometry(X), np.arange(60) % 2)
    assert 0.3 < mixed.mean() < 0.7


# --- the portfolio ---------------------------------------------------------------------------------------------------


def test_every_family_has_its_members():
    assert tuple(MEMBERS) == FAMILIES
    assert [member for members in MEMBERS.values() for member in members] == list(ALGORITHMS)
    for family, members in MEMBERS.items():
        assert {family_of(member) for member in members} == {family}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms_find_far_blobs(algorithm):
    X, y = make_blobs(150, centers=[[0, 0], [15, 0], [0, 15]], random_state=1)
    X = (X - X.mean(0)) / X.std(0)
    settings = (2, 3, 4) if not algorithm.startswith("hdbscan") else (8, 20)
    found = propose({"standard": Scene(X, 0)}, [Work("standard", algorithm, settings)])
    assert max(adjusted_rand_score(y, proposal.labels) for proposal in found) == 1
    for proposal in found:
        assert (proposal.algorithm, proposal.space) == (algorithm, "standard")
        assert proposal.setting in settings
        np.testing.assert_array_equal(proposal.labels, in_order(proposal.labels))
        if not algorithm.startswith("hdbscan"):
            assert proposal.labels.max() + 1 <= proposal.setting


def test_a_partition_is_proposed_once():
    X, _ = make_blobs(60, centers=[[0, 0], [15, 0]], random_state=1)
    scenes = {"standard": Scene(X, 0)}
    found = propose(scenes, [Work("standard", name, (2,)) for name in ("ward", "k-means", "average")])
    assert [proposal.algorithm for proposal in found] == ["ward"]
    assert len(distinct(found * 2)) == 1
    assert propose(scenes, [Work("standard", "ward", (60, 100))]) == []


def test_labels_in_order():
    assert in_order(np.array([7, 7, -1, 3, 7, -1])).tolist() == [0, 0, 1, 2, 0, 1]


def test_copies_are_proposed_together():
    different = np.array([[0.0, 0], [0, 1], [1, 0], [0, 30], [2, -50], [3, 3], [90, 2]])
    copy_of = np.repeat(np.arange(7), [13, 10, 3, 1, 1, 1, 1])
    scenes = {"standard": Scene(different[copy_of], 0)}
    for proposal in propose(scenes, first_work(len(copy_of), COUNTS)):
        assert len({*zip(copy_of.tolist(), proposal.labels.tolist(), strict=True)}) == 7, proposal.algorithm


def test_the_second_round_follows_the_best():
    scenes = {"standard": Scene(blobs(0, 60), 0)}
    proposals = propose(
        scenes, [Work("standard", name, (2, 5, 12)) for name in ("ward", "average", "k-means", "modes")]
    )
    ratings = np.array([float(p.algorithm == "ward" and p.setting == 5) for p in proposals])
    found = second_work(proposals, ratings, ["standard", "pca", "normal"], 60, COUNTS)
    assert {work.space for work in found} == {"pca", "normal"}
    assert found[0].algorithm == "ward"
    assert {3, 4, 5, 6, 7} <= set(found[0].settings)
    assert len({family_of(work.algorithm) for work in found}) <= 3


TABLES = st.integers(6, 60).flatmap(
    lambda n: st.integers(1, 5).flatmap(
        lambda d: st.one_of(
            arrays(np.float64, (n, d), elements=st.integers(-3, 3).map(float)),
            arrays(np.float64, (n, d), elements=st.floats(-1e6, 1e6, width=32)),
            st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).normal(size=(n, d)).round(1)),
        )
    )
)


@settings(max_examples=60)
@given(TABLES, st.integers(1, 3), st.booleans())
def test_any_table_is_proposed_for_and_described(X, copies, constant):
    X = np.repeat(X, copies, axis=0)[:60]
    if constant:
        X = np.column_stack([np.full(len(X), 2.5), X])
    assume((X[0] != X).any())
    groups = np.arange(X.shape[1])
    spaces = learn_spaces(X, groups)
    assert set(spaces) <= set(SPACES)
    scenes = {name: Scene(apply(space, X), 0) for name, space in spaces.items()}
    proposals = propose(scenes, first_work(len(X), COUNTS))
    proposals = distinct(
        [*proposals, *propose(scenes, second_work(proposals, np.zeros(len(proposals)), list(spaces), len(X), COUNTS))]
    )
    assert proposals
    seen = look(scenes, X, proposals)
    for proposal in proposals:
        k = proposal.labels.max() + 1
        assert k >= 2
        assert np.unique(proposal.labels).tolist() == list(range(k))
    for measures in seen.description:
        for name, values in measures.items():
            assert np.isfinite(values).all(), name
    assert np.isfinite(list(seen.facts.values())).all()
    names, rows = stray_rows(scenes["standard"].geometry, proposals[0].labels, seen.facts)
    assert rows.shape == (len(X), len(names))
    assert np.isfinite(rows).all()
    names, rows = cluster_rows(seen.description.clusters, seen.facts)
    assert rows.shape == (len(seen.crowd.sizes), len(names))
    opinions = cluster_opinions(seen.crowd, np.full(len(rows), 0.5), np.full(len(rows), 0.5))
    origins = [(proposal.algorithm, proposal.space) for proposal in proposals]
    names, rows = proposal_rows(seen.description.partitions | opinions, seen.facts, origins)
    assert rows.shape == (len(proposals), len(names))
    assert len(set(names)) == len(names)
    assert np.isfinite(rows).all()


# --- numbers of mixed tables -----------------------------------------------------------------------------------------


def test_arrays_of_numbers_stay_as_they_are():
    X = normal(0, 20)
    encoding = learn_encoding(X)
    assert encoding.columns is None
    np.testing.assert_array_equal(numbers_of(encoding, X), X)
    assert learn_encoding(np.ones((5, 2))) is None


def test_missing_values_and_categories_become_numbers():
    import pandas as pd

    table = pd.DataFrame({"a": [1.0, np.nan, 3, 4] * 10, "b": ["x", "y", "z", "x"] * 10, "c": ["same"] * 40})
    encoding = learn_encoding(table)
    numbers = numbers_of(encoding, table)
    assert numbers.shape == (40, len(encoding.groups))
    assert np.isfinite(numbers).all()
    assert len(set(encoding.groups.tolist())) < len(encoding.groups)
    np.testing.assert_array_equal(numbers_of(encoding, table.iloc[[5]]), numbers[[5]])
    assert learn_encoding(table[["c"]]) is None
    assert learn_encoding(np.full((4, 1), np.nan)) is None


# --- the judge -------------------------------------------------------------------------------------------------------

NAMES = ("first", "second")


def model(seed):
    X = normal(seed, 60, 2)
    data = lightgbm.Dataset(X, X[:, 0] > 0, feature_name=list(NAMES))
    settings = {"objective": "regression", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    return lightgbm.train(settings, data, 3).model_to_string()


@pytest.fixture(scope="module")
def judge():
    told = Settings(
        cluster_rows=NAMES, quality_rows=NAMES, structure_rows=NAMES, stray_rows=NAMES, rated=(0.2, 0.4, 0.9),
        reached=(0.1, 0.5, 1.0), reached_low=(0.0, 0.2, 0.8), reached_high=(0.5, 0.7, 1.0), facts=("size",),
        facts_middle=(5.0,), facts_spread=(1.0,),
    )  # fmt: skip
    return Judge(**{name: model(place) for place, name in enumerate(MODELS)}, settings=told)


def test_a_saved_judge_says_the_same(judge, tmp_path):
    judge.save(tmp_path / "new" / "folder")
    read = Judge.load(str(tmp_path / "new" / "folder"))
    assert read == judge
    for name in MODELS:
        said = judge.predict(name, list(NAMES), normal(9, 20, 2))
        assert np.ptp(said) > 0
        np.testing.assert_array_equal(read.predict(name, list(NAMES), normal(9, 20, 2)), said)


def test_a_saved_judge_keeps_its_correction(judge, tmp_path):
    learned = replace(judge, correction=model(99), homes=((1.0,), (2.5,)))
    learned.save(tmp_path)
    assert Judge.load(tmp_path) == learned
    rows = normal(9, 20, 2)
    plain = judge.rate(list(NAMES), rows, {"size": 6.0})
    np.testing.assert_array_equal(plain, judge.predict("order", list(NAMES), rows))
    near, far = (learned.rate(list(NAMES), rows, {"size": size}) for size in (6.0, 1.0))
    assert np.abs(near - plain).max() > 0.05
    assert np.abs(far - plain).max() < np.abs(near - plain).max() / 2
    assert pickle.loads(pickle.dumps(learned)) == learned


def test_a_table_lies_where_its_facts_are(judge):
    assert judge.place({"size": 5.5}).tolist() == [0.5]
    assert judge.place({"size": 1e9}).tolist() == [4.0]


def test_judges_travel(judge):
    judge.predict("quality", list(NAMES), np.zeros((1, 2)))
    assert copy.deepcopy(judge) is judge
    read = pickle.loads(pickle.dumps(judge))
    assert read == judge
    np.testing.assert_array_equal(
        read.predict("stray", list(NAMES), normal(9, 20, 2)), judge.predict("stray", list(NAMES), normal(9, 20, 2))
    )


def test_what_a_judge_expects(judge):
    assert judge.expected(0.0) == (0.1, 0.0, 0.5)
    assert judge.expected(0.3) == pytest.approx((0.3, 0.1, 0.6))
    assert judge.expected(2.0) == (1.0, 0.8, 1.0)
    assert judge.unlike({"size": 8.9, "more": 1e9}) == []
    assert judge.unlike({"size": 9.1}) == ["size"]
    plain = judge.structured(list(NAMES), np.ones(2))
    told = replace(judge, settings=replace(judge.settings, structure_slope=0.0, structure_shift=np.log(3)))
    assert told.structured(list(NAMES), np.ones(2)) == pytest.approx(0.75)
    assert plain == pytest.approx(
        float(np.clip(judge.predict("structure", list(NAMES), np.ones((1, 2)))[0], 0, 1)), abs=1e-5
    )


def test_reasons_add_up_to_the_rating(judge):
    rows = normal(5, 10, 2)
    reasons = judge.reasons(list(NAMES), rows)
    assert reasons.shape == (10, 2)
    rest = judge.predict("order", list(NAMES), rows) - reasons.sum(1)
    np.testing.assert_allclose(rest, rest[0])


@pytest.mark.parametrize("name", MODELS)
def test_rows_of_other_values_are_refused(judge, name):
    with pytest.raises(ValueError, match=f"{name} model reads other values than were described: .*'third'.*train it"):
        judge.predict(name, ["first", "third"], np.zeros((1, 2)))
    with pytest.raises(ValueError, match="reads other values"):
        judge.predict(name, list(NAMES[::-1]), np.zeros((1, 2)))


def test_folders_that_hold_no_judge_are_refused(judge, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere should hold a saved judge; it lacks \['purity.txt'"):
        Judge.load(tmp_path / "nowhere")
    judge.save(tmp_path)
    (tmp_path / "stray.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"it lacks \['stray.txt'\]"):
        Judge.load(tmp_path)
    judge.save(tmp_path)
    (tmp_path / "stray.txt").write_text("no model")
    with pytest.raises(ValueError, match="stray should be a model in LightGBM's text format; found 'no model'"):
        Judge.load(tmp_path)
    judge.save(tmp_path)
    text = (tmp_path / "judge.json").read_text()
    for wrong in ("{", "{}", json.dumps(json.loads(text) | {"more": 1})):
        (tmp_path / "judge.json").write_text(wrong)
        with pytest.raises(ValueError, match=r"judge.json should hold a judge's settings"):
            Judge.load(tmp_path)


@pytest.mark.parametrize("wrong", ["[]", "3", "null", '"text"'])
def test_settings_that_are_no_table_are_refused(judge, tmp_path, wrong):
    judge.save(tmp_path)
    (tmp_path / "judge.json").write_text(wrong)
    with pytest.raises(ValueError, match=r"judge.json should hold a judge's settings"):
        Judge.load(tmp_path)


def test_a_model_cut_off_is_refused(judge, tmp_path):
    judge.save(tmp_path)
    text = (tmp_path / "quality.txt").read_text()
    (tmp_path / "quality.txt").write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="quality"):  # LightGBM itself would end the process
        Judge.load(tmp_path)


def test_settings_of_another_kind_are_refused(judge):
    with pytest.raises(TypeError, match="settings should be Settings; found dict"):
        replace(judge, settings={})
    with pytest.raises(ValueError, match="recall should be a model"):
        replace(judge, recall=None)


# --- choosing --------------------------------------------------------------------------------------------------------


def test_a_choice_is_the_proposal_rated_highest():
    X = blobs(0, 120, 3, 0.8)
    judge = pretrained.clusterer()
    choice = choose(X, np.arange(2), judge, COUNTS, 0)
    ratings = rate(judge, choice.seen).ratings
    np.testing.assert_array_equal(ratings, choice.rated.ratings)
    assert choice.best == ratings.argmax()
    assert sum(choice.posterior.values()) == pytest.approx(1)
    assert choice.posterior[1] == pytest.approx(1 - choice.structured)
    assert ((choice.stray >= -0.1) & (choice.stray <= 1.1)).all()
    again = choose(X, np.arange(2), judge, COUNTS, 0)
    np.testing.assert_array_equal(again.rated.ratings, ratings)


def test_only_numbers_that_are_allowed_are_chosen():
    choice = choose(blobs(0, 120, 3, 0.8), np.arange(2), pretrained.clusterer(), [4, 6], 0)
    assert {proposal.labels.max() + 1 for proposal in choice.seen.proposals} <= {4, 6}
    assert set(choice.posterior) <= {1, 4, 6}


def test_a_second_round_that_finds_nothing_allowed_leaves_the_first(monkeypatch):
    X = np.random.default_rng(0).normal(size=(80, 2)) @ np.random.default_rng(1).normal(size=(2, 4))
    plain = choose(X, np.arange(4), pretrained.clusterer(), [4], 0, second=False)
    monkeypatch.setattr(choosing, "second_work", lambda *_: [Work("pca", "ward", (3,))])
    choice = choose(X, np.arange(4), pretrained.clusterer(), [4], 0)
    assert len(choice.seen.proposals) == len(plain.seen.proposals)
    with pytest.raises(ValueError, match="n_clusters should be one that an algorithm finds"):
        choose(X[:3], np.arange(4), pretrained.clusterer(), [4], 0)


def test_the_judge_of_the_package_reads_what_is_described():
    judge = pretrained.clusterer()
    assert judge is pretrained.clusterer()
    for name in judge.settings.quality_rows:
        assert word_of(name)
    assert {word_of(name) for name in judge.settings.quality_rows} <= set(WORDS.values())


def test_reasons_are_gathered_by_their_words():
    found = grouped(["silhouette", "silhouette_rank", "table_log_rows", "davies_below_same"], np.array([1, 2, -1, 5.0]))
    assert found == {"Davies-Bouldin index": 5, "silhouette": 3, "kind of table": -1}
    assert word_of("something_new") == "something new"
