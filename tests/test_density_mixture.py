"""Mixtures in closed form against scipy, scikit-learn and the learner of the same formulas; warps; stacks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from sklearn.mixture import GaussianMixture

from firstsight.core import Data
from firstsight.density.em import Pull, em_step
from firstsight.density.experts import BENT, PLAIN
from firstsight.density.mixture import (
    Mixture,
    completed,
    component_scores,
    conditioned,
    draw,
    log_density,
    log_sum,
)
from firstsight.density.queries import drawn, drawn_cells, expected
from firstsight.density.queries import given as given_cells
from firstsight.density.stack import Density, Expert, fitted, stacked
from firstsight.density.stack import log_density as stack_log_density
from firstsight.density.warps import Warp, bending, straight, unwarped, warped
from firstsight.learners import gmm

NO_CODES = np.empty((1, 0), np.int64)
FLOOR = 1e-3


def mixture_of(n_components, d, n_levels=(), seed=0):
    generator = np.random.default_rng(seed)
    roots = generator.normal(size=(n_components, d, d + 2))
    return Mixture(
        np.log(generator.dirichlet(np.ones(n_components))),
        generator.normal(size=(n_components, d)),
        roots @ roots.swapaxes(1, 2) / (d + 2) + 0.1 * np.eye(d),
        tuple(np.log(generator.dirichlet(np.ones(n), n_components)) for n in n_levels),
    )


def rows_of(n_rows, d, n_levels=(), missing=0.0, seed=0):
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=(n_rows, d)) @ np.triu(np.ones((d, d)))
    codes = (
        np.stack([generator.integers(0, n, n_rows) for n in n_levels], 1) if n_levels else np.empty((n_rows, 0), int)
    )
    numbers[generator.random(numbers.shape) < missing] = np.nan
    codes[generator.random(codes.shape) < missing] = -1
    return numbers, codes


# --- densities -------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 4), st.lists(st.integers(1, 4), max_size=2), st.integers(0, 1000))
def test_scores_are_those_of_scipy_and_missing_cells_are_left_out(d, n_levels, seed):
    mixture = mixture_of(3, d, tuple(n_levels), seed)
    numbers, codes = rows_of(6, d, tuple(n_levels), 0.4, seed)
    found = component_scores(mixture, numbers, codes)
    for row in range(6):
        seen = ~np.isnan(numbers[row])
        for j in range(3):
            score = mixture.log_weights[j]
            if seen.any():
                covariance = mixture.covariances[j][np.ix_(seen, seen)]
                score += stats.multivariate_normal(mixture.means[j, seen], covariance).logpdf(numbers[row, seen])
            score += sum(table[j, c] for table, c in zip(mixture.levels, codes[row], strict=True) if c >= 0)
            assert found[row, j] == pytest.approx(score, rel=1e-9, abs=1e-9)


def test_equal_covariances_give_the_same_by_the_shorter_way():
    mixture = mixture_of(5, 3)
    equal = mixture._replace(covariances=np.repeat(mixture.covariances[:1], 5, axis=0))
    other = equal._replace(covariances=np.concatenate([equal.covariances[:4], 2 * equal.covariances[:1]]))
    numbers, codes = rows_of(20, 3)
    np.testing.assert_allclose(
        component_scores(equal, numbers, codes)[:, :4], component_scores(other, numbers, codes)[:, :4], rtol=1e-10
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_the_conditional_is_the_joint_less_the_marginal(seed):
    mixture = mixture_of(3, 3, (3, 2), seed)
    numbers, codes = rows_of(1, 3, (3, 2), 0.0, seed)
    generator = np.random.default_rng(seed)
    lacking, unknown = generator.random(3) < 0.5, generator.random(2) < 0.5
    some_numbers, some_codes = np.where(lacking, np.nan, numbers), np.where(unknown, -1, codes)
    found = conditioned(mixture, some_numbers[0], some_codes[0])
    expected_log = log_density(mixture, numbers, codes) - log_density(mixture, some_numbers, some_codes)
    np.testing.assert_allclose(log_density(found, numbers[:, lacking], codes[:, unknown]), expected_log, atol=1e-9)


def test_moments_of_missing_numbers_are_those_of_the_conditional():
    mixture = mixture_of(4, 3, (2,))
    numbers, codes = rows_of(10, 3, (2,), 0.4)
    found = completed(mixture, numbers, codes)
    for row in range(10):
        lacking = np.isnan(numbers[row])
        apart = conditioned(mixture, numbers[row], codes[row])
        np.testing.assert_allclose(found.log_members[row], apart.log_weights, atol=1e-9)
        np.testing.assert_allclose(found.means[row][:, lacking], apart.means, atol=1e-9)
        np.testing.assert_allclose(
            found.variances[row][:, lacking], np.diagonal(apart.covariances, axis1=1, axis2=2), atol=1e-9
        )
        np.testing.assert_array_equal(found.means[row][:, ~lacking], np.tile(numbers[row, ~lacking], (4, 1)))


def test_draws_have_the_moments_of_the_mixture():
    mixture = mixture_of(3, 2, (3,))
    numbers, codes = draw(mixture, 40_000, np.random.default_rng(0))
    weights = np.exp(mixture.log_weights)
    mean = weights @ mixture.means
    second = np.einsum("k,kij->ij", weights, mixture.covariances + mixture.means[:, :, None] * mixture.means[:, None])
    np.testing.assert_allclose(numbers.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(numbers.T @ numbers / len(numbers), second, atol=0.06)
    np.testing.assert_allclose(np.bincount(codes[:, 0]) / len(codes), weights @ np.exp(mixture.levels[0]), atol=0.01)
    again = draw(mixture, 40_000, np.random.default_rng(0))
    np.testing.assert_array_equal(numbers, again[0])


# --- EM --------------------------------------------------------------------------------------------------------------


def learner_of(mixture, shape, strengths=None):
    """The learner's parameters of a mixture, and those of a prior with strengths."""
    covariances = torch.tensor(mixture.covariances)
    if shape == "tied":
        covariances = covariances[:1]
    if shape == "diagonal":
        covariances = covariances.diagonal(dim1=-2, dim2=-1)
    params = {"log_weights": torch.tensor(mixture.log_weights), "means": torch.tensor(mixture.means)}
    params |= gmm.from_covariances(covariances, floor=FLOOR)
    if strengths is not None:
        params |= {name: torch.tensor(rows, dtype=torch.float64).log() for name, rows in strengths.items()}
    return params


@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize("shape", ["full", "diagonal", "tied"])
def test_steps_equal_those_of_the_learner(shape, prior):
    numbers, codes = rows_of(30, 3)
    start, centre = mixture_of(4, 3, seed=1), mixture_of(4, 3, seed=2)
    if shape == "diagonal":
        start, centre = (m._replace(covariances=m.covariances * np.eye(3)) for m in (start, centre))
    if shape == "tied":
        start, centre = (m._replace(covariances=np.repeat(m.covariances[:1], 4, axis=0)) for m in (start, centre))
    strengths = {"log_weight_rows": 2.0, "log_mean_rows": 5.0, "log_covariance_rows": 11.0}
    pull = Pull(centre, 2.0, 5.0, 11.0, 1.0) if prior else None
    params, held = learner_of(start, shape, strengths), learner_of(centre, shape, strengths) if prior else None
    mixture = start
    for _ in range(5):
        mixture = em_step(mixture, numbers, codes, floor=FLOOR, pull=pull, shape=shape)
        params = gmm.refine(params, Data(torch.tensor(numbers)), held, floor=FLOOR)
        np.testing.assert_allclose(mixture.log_weights, params["log_weights"].log_softmax(0), atol=1e-6)
        np.testing.assert_allclose(mixture.means, params["means"], atol=1e-6)
        covariances = gmm.covariances(params, floor=FLOOR).numpy()
        if shape == "diagonal":
            covariances = covariances[:, :, None] * np.eye(3)
        np.testing.assert_allclose(mixture.covariances, np.broadcast_to(covariances, (4, 3, 3)), atol=1e-6)


def test_a_step_equals_that_of_scikit_learn():
    numbers, codes = rows_of(200, 3)
    start = mixture_of(3, 3)
    model = GaussianMixture(
        3, max_iter=1, reg_covar=FLOOR, weights_init=np.exp(start.log_weights), means_init=start.means,
        precisions_init=np.linalg.inv(start.covariances),
    )  # fmt: skip
    with pytest.warns(match="converge"):
        model.fit(numbers)
    found = em_step(start, numbers, codes, floor=FLOOR)
    np.testing.assert_allclose(np.exp(found.log_weights), model.weights_, rtol=1e-6)
    np.testing.assert_allclose(found.means, model.means_, rtol=1e-6)
    np.testing.assert_allclose(found.covariances, model.covariances_, rtol=1e-6)


def test_missing_cells_lead_to_the_likeliest_gaussian():
    # The second column is missing at some rows: its regression on the first is that of the others (Anderson 1957).
    numbers, codes = rows_of(60, 2)
    numbers[40:, 1] = np.nan
    mixture = mixture_of(1, 2)
    for _ in range(400):
        mixture = em_step(mixture, numbers, codes, floor=0.0)
    x, y = numbers[:40].T
    slope = np.cov(x, y, bias=True)[0, 1] / x.var()
    mean, variance = numbers[:, 0].mean(), numbers[:, 0].var()
    rest = (y - slope * x).var()
    np.testing.assert_allclose(mixture.means[0], [mean, y.mean() + slope * (mean - x.mean())], rtol=1e-8)
    wanted = [[variance, slope * variance], [slope * variance, rest + slope**2 * variance]]
    np.testing.assert_allclose(mixture.covariances[0], wanted, rtol=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3), st.integers(0, 2), st.integers(2, 30), st.integers(0, 1000))
def test_the_likelihood_never_falls(d, c, n_rows, seed):
    n_levels = (3, 2)[:c]
    numbers, codes = rows_of(n_rows, d, n_levels, 0.3, seed)
    mixture = mixture_of(3, d, n_levels, seed)
    before = log_density(mixture, numbers, codes).sum()
    for _ in range(4):
        mixture = em_step(mixture, numbers, codes, floor=0.0 if n_rows > 20 else 1e-9)
        after = log_density(mixture, numbers, codes).sum()
        assert after >= before - 1e-4 * (1 + abs(before))
        before = after


@pytest.mark.parametrize("rows", [0.0, 1e-300, 1e300, np.inf])
@pytest.mark.parametrize("n_rows", [1, 30])
def test_any_strength_is_finite_and_the_ends_are_known(rows, n_rows):
    numbers, codes = rows_of(n_rows, 3, (3,), 0.2)
    start, centre = mixture_of(4, 3, (3,), 1), mixture_of(4, 3, (3,), 2)
    found = em_step(start, numbers, codes, floor=FLOOR, pull=Pull(centre, rows, rows, rows, rows))
    wanted = centre if rows > 1 else em_step(start, numbers, codes, floor=FLOOR)
    for one, two in zip(found[:3] + found.levels, wanted[:3] + wanted.levels, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, two, atol=1e-9)


def test_levels_are_pulled_by_rows():
    codes = np.array([[0], [0], [1], [-1]])
    start = Mixture(np.zeros(1), np.empty((1, 0)), np.empty((1, 0, 0)), (np.log([[0.5, 0.5]]),))
    centre = start._replace(levels=(np.log([[0.1, 0.9]]),))
    found = em_step(start, np.empty((4, 0)), codes, floor=FLOOR, pull=Pull(centre, 0.0, 0.0, 0.0, 4.0))
    # The missing one is half a row of each level, as the table had it: 2.5 of 4 rows, and 4 rows of the prior.
    np.testing.assert_allclose(np.exp(found.levels[0]), [[(2.5 + 0.4) / 8, (1.5 + 3.6) / 8]])


def test_a_component_without_rows_stays_or_goes_to_the_prior():
    numbers, codes = rows_of(20, 2, (2,))
    start = mixture_of(3, 2, (2,))
    start.means[2] = 1e4
    found = em_step(start, numbers, codes, floor=FLOOR)
    np.testing.assert_array_equal(found.means[2], start.means[2])
    np.testing.assert_array_equal(found.covariances[2], start.covariances[2])
    centre = mixture_of(3, 2, (2,), 5)
    pulled = em_step(start, numbers, codes, floor=FLOOR, pull=Pull(centre, 1.0, 1.0, 1.0, 1.0))
    np.testing.assert_allclose(pulled.means[2], centre.means[2])
    np.testing.assert_allclose(pulled.covariances[2], centre.covariances[2])
    lost = em_step(start._replace(log_weights=np.array([0.0, -np.inf, -np.inf])), numbers, codes, floor=FLOOR)
    assert np.isfinite(lost.means).all()


# --- warps -----------------------------------------------------------------------------------------------------------


def columns_of(n_rows=300):
    generator = np.random.default_rng(0)
    normal = generator.normal(size=n_rows)
    skewed, heavy = np.exp(2 * generator.normal(size=n_rows)), generator.standard_t(1, n_rows)
    two = np.where(normal < 0, -50, 50) + generator.normal(size=n_rows)
    return np.stack([1e6 + normal, skewed, heavy, two, 1e-9 * normal, -skewed], axis=1)


def warps_of(numbers):
    steps = np.zeros(numbers.shape[1])
    base = straight(numbers, steps + 1e-300)
    return {"straight": base, "bending": bending(numbers, base, steps)}


@pytest.mark.parametrize("name", ["straight", "bending"])
def test_a_warp_goes_there_and_back_with_its_slope(name):
    numbers = columns_of()
    warp = warps_of(numbers)[name]
    z, slopes = warped(warp, numbers)
    np.testing.assert_allclose(unwarped(warp, z), numbers, rtol=1e-9, atol=1e-18)
    step = 1e-6 * warp.scales
    numeric = (warped(warp, numbers + step)[0] - warped(warp, numbers - step)[0]) / (2 * step)
    # 1e6 + x has few digits left for a difference.
    np.testing.assert_allclose(np.exp(slopes[:, 1:]), numeric[:, 1:], rtol=1e-3)
    far = np.array([[-1e90], [-1e9], [np.nan], [1e9], [1e90]]) * np.ones(6)
    z, slopes = warped(warp, far)
    assert (np.isfinite(z) & np.isfinite(slopes) | np.isnan(far)).all()
    assert (z[1] < z[3]).all()


def test_bent_columns_are_about_normal():
    z = warped(warps_of(columns_of())["bending"], columns_of())[0]
    for column in z.T:
        assert stats.kstest(column, "norm").statistic < 0.07


def test_far_scores_are_found_again():
    warp = warps_of(columns_of())["bending"]
    z = np.array([[-30.0], [-9.0], [0.0], [9.0], [30.0]]) * np.ones(6)
    np.testing.assert_allclose(warped(warp, unwarped(warp, z))[0][:, 1:], z[:, 1:], rtol=1e-6, atol=1e-6)


# --- stacks ----------------------------------------------------------------------------------------------------------


def density_of(n_levels=()):
    numbers = np.abs(columns_of()[:, [3, 1]]) ** [1.0, 0.25]
    warps = warps_of(numbers)
    mixtures = [mixture_of(3, 2, n_levels, seed) for seed in range(2)]
    mixtures = [mixture._replace(covariances=0.3 * mixture.covariances) for mixture in mixtures]
    experts = [Expert(name, warp, mixture) for (name, warp), mixture in zip(warps.items(), mixtures, strict=True)]
    return Density(np.log([0.3, 0.7]), tuple(experts))


def test_a_stack_has_mass_one_in_the_units_of_the_table():
    numbers = columns_of()[:, [1]]
    density = fitted(numbers, np.empty((300, 0), np.int64), 0)
    grid = np.concatenate([-np.geomspace(1e3, 1e-6, 4000), np.geomspace(1e-6, 1e6, 8000)])
    height = np.exp(stack_log_density(density, grid[:, None], np.empty((len(grid), 0), np.int64)))
    assert integrate.trapezoid(height, grid) == pytest.approx(1, abs=1e-3)
    drawn_numbers, _ = drawn(density, 20_000, np.random.default_rng(0))
    steps = np.diff(grid) * (height[1:] + height[:-1]) / 2
    for place in (3000, 5000, 9000):
        assert (drawn_numbers < grid[place]).mean() == pytest.approx(steps[:place].sum(), abs=0.012)


def test_weights_are_the_likeliest():
    generator = np.random.default_rng(0)
    x = generator.normal(size=4000)
    scores = np.stack([stats.norm(scale=0.5).logpdf(x), stats.norm(scale=2).logpdf(x), stats.norm(9).logpdf(x)], axis=1)
    best = optimize.minimize_scalar(
        lambda w: -np.log(w * np.exp(scores[:, 0]) + (1 - w) * np.exp(scores[:, 1])).mean(), bounds=(0, 1)
    )
    np.testing.assert_allclose(stacked(scores), [best.x, 1 - best.x, 0], atol=2e-3)


def test_what_is_given_changes_the_weights_of_experts():
    density = density_of((3,))
    numbers, codes = np.array([[50.0, 2.0]]), np.array([[1]])
    part = given_cells(density, np.array([50.0, np.nan]), np.array([-1]))
    joint = stack_log_density(density, numbers, codes)
    alone = stack_log_density(density, np.array([[50.0, np.nan]]), np.array([[-1]]))
    np.testing.assert_allclose(stack_log_density(part, numbers[:, 1:], codes), joint - alone, atol=1e-9)


def test_expected_cells_are_the_means_of_draws_and_of_integrals():
    density = density_of((3,))
    numbers, codes = np.array([[50.0, np.nan], [49.0, np.nan], [np.nan, 2.0]]), np.array([[1], [-1], [0]])
    found, levels = expected(density, numbers, codes)
    grid = np.concatenate([-np.geomspace(1e5, 1e-4, 4000), np.geomspace(1e-4, 1e5, 8000)])
    for row, lacking in ((0, 1), (2, 0)):
        rows = np.repeat(numbers[[row]], len(grid), axis=0)
        rows[:, lacking] = grid
        height = np.exp(stack_log_density(density, rows, np.repeat(codes[[row]], len(grid), axis=0)))
        wanted = integrate.trapezoid(grid * height, grid) / integrate.trapezoid(height, grid)
        assert found[row, lacking] == pytest.approx(wanted, rel=2e-2)
    each = [stack_log_density(density, numbers[[1]], np.array([[level]]))[0] for level in range(3)]
    assert levels[:, 0].tolist() == [1, int(np.argmax(each)), 0]
    many = [np.repeat(part[[1]], 20_000, axis=0) for part in (numbers, codes)]
    cells = drawn_cells(density, *many, np.random.default_rng(0))
    np.testing.assert_allclose(
        np.bincount(cells[1][:, 0]) / 20_000, np.exp(each - log_sum(np.array(each), 0)), atol=0.015
    )
    assert (cells[0][:, 0] == 49).all()
    part = given_cells(density, numbers[1], codes[1])
    other = drawn(part, 20_000, np.random.default_rng(1))[0][:, 0]
    assert stats.ks_2samp(cells[0][:, 1], other).statistic < 0.02


def test_the_order_of_rows_and_a_second_run_change_nothing():
    numbers, codes = rows_of(80, 2, (3,), 0.1)
    order = np.random.default_rng(0).permutation(80)
    one, two = fitted(numbers, codes, 0), fitted(numbers[order], codes[order], 0)
    np.testing.assert_array_equal(stack_log_density(one, numbers, codes), stack_log_density(two, numbers, codes))


def test_values_far_out_leave_the_plain_space_out():
    numbers, codes = rows_of(60, 2)
    numbers[7, 0] = 1e90
    density = fitted(numbers, codes, 0)
    assert all(BENT in expert.name for expert in density.experts)
    assert np.isfinite(stack_log_density(density, numbers, codes)).all()
    assert any(PLAIN in expert.name for expert in fitted(rows_of(60, 2)[0], codes, 0).experts)


def test_a_cheap_stack_tries_fewer_experts():
    numbers, codes = rows_of(20, 4)
    cheap = fitted(numbers, codes, 0, cheap=True)
    assert isinstance(cheap.experts[0].warp, Warp)
    assert len(cheap.experts) <= 4
    assert np.exp(cheap.log_weights).sum() == pytest.approx(1)
