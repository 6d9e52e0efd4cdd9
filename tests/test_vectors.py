"""Changes of vectors and the net for them: nothing at zero strength, known shares, the same draw from the same seed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from firstsight.augment.vectors import TABLE, Config, augment
from firstsight.nets.encoder import VectorEncoder, seeded
from firstsight.pools import neighbours, train
from firstsight.seeds import generator_of

EVERYTHING = Config(drop=0.2, swap=0.2, noise=0.2, mix=0.3)
X = torch.randn(400, 20, generator=generator_of(0, "vectors"))


@pytest.mark.parametrize(
    "config",
    [TABLE, EVERYTHING, Config(drop=0.3), Config(swap=0.3), Config(noise=0.3), Config(mix=0.3)],
    ids=str,
)
@pytest.mark.parametrize("copies", [None, 3])
def test_shape_seed_and_purity(config, copies):
    rows = X if copies is None else torch.stack([X + number for number in range(copies)], 1)
    before, state = rows.clone(), torch.get_rng_state()
    changed = augment(generator_of(1), rows, config)
    assert changed.shape == X.shape
    assert changed.dtype == X.dtype
    assert torch.equal(rows, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(changed, augment(generator_of(1), rows, config))
    assert not torch.equal(changed, augment(generator_of(2), rows, config))


def test_zero_strength_changes_nothing_and_shares_no_memory():
    changed = augment(generator_of(0), X, Config())
    assert torch.equal(changed, X)
    assert changed.data_ptr() != X.data_ptr()


def test_every_copy_is_drawn():
    copies = torch.arange(4.0)[None, :, None].expand(4000, 4, 2)
    drawn = augment(generator_of(0), copies, Config())
    assert torch.equal(drawn[:, 0], drawn[:, 1])
    assert torch.bincount(drawn[:, 0].long()).tolist() == pytest.approx([1000] * 4, abs=120)


def test_shares_are_those_asked_for():
    dropped = augment(generator_of(0), X, Config(drop=0.3))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(dropped[dropped != 0], X[dropped != 0])
    swapped = augment(generator_of(0), X, Config(swap=0.4))
    assert float((swapped != X).float().mean()) == pytest.approx(0.4, abs=0.02)
    for column in range(X.shape[1]):  # another row's value of the same column
        assert bool(torch.isin(swapped[:, column], X[:, column]).all())


def test_noise_is_in_deviations_of_the_column():
    wide = X * torch.arange(20)
    added = augment(generator_of(0), wide, Config(noise=0.5)) - wide
    torch.testing.assert_close(added.std(0), 0.5 * wide.std(0), rtol=0.15, atol=0)
    assert torch.equal(added[:, 0], torch.zeros(400))  # a constant column stays constant


def test_mixing_keeps_the_row_as_the_larger_part():
    ends = torch.cat([torch.zeros(200, 1), torch.ones(200, 1)])
    mixed = augment(generator_of(0), ends, Config(mix=0.4))
    assert float(mixed[:200].max()) <= 0.4
    assert float(mixed[200:].min()) >= 0.6
    assert not torch.equal(mixed, ends)


@given(st.integers(1, 5), st.integers(1, 4), st.floats(-1e6, 1e6, width=32), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_any_rows_stay_finite(n_rows, n_features, value, seed):
    rows = torch.full((n_rows, n_features), value)
    changed = augment(generator_of(seed), rows, EVERYTHING)
    assert bool(torch.isfinite(changed).all())
    assert float(changed.abs().max()) <= abs(value) * (1 + 1e-5)  # equal rows: only 0 can be put in


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ([[1.0]], TypeError),
        (torch.zeros(3, 2, dtype=torch.long), TypeError),
        (torch.zeros(3), ValueError),
        (torch.zeros(0, 3), ValueError),
        (torch.zeros(3, 0), ValueError),
        (torch.zeros(3, 0, 2), ValueError),
        (torch.zeros(3, 1, 2, 2), ValueError),
    ],
)
def test_bad_rows_are_refused(bad, error):
    with pytest.raises(error, match="should"):
        augment(generator_of(0), bad, TABLE)


@pytest.mark.parametrize(
    "wrong", [{"drop": 2.0}, {"swap": -1.0}, {"noise": -0.1}, {"mix": 0.6}, {"mix": True}], ids=str
)
def test_settings_that_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
        Config(**wrong)


@pytest.mark.parametrize("n_hidden", [0, 7])
def test_an_untrained_encoder_gives_the_vectors(n_hidden):
    encoder = seeded(VectorEncoder(n_inputs=20, n_hidden=n_hidden), 3)
    assert encoder.n_features == 20
    assert torch.equal(encoder(X), X)
    assert torch.equal(encoder(torch.stack([X, -X], 1)), X)
    again = seeded(VectorEncoder(n_inputs=20, n_hidden=n_hidden), 3)
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("wrong", [{"n_inputs": 0}, {"n_inputs": 3, "n_hidden": -1}, {"n_inputs": 3.0}], ids=str)
def test_encoders_that_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="should be"):
        VectorEncoder(**wrong)


def test_training_on_a_pool_learns_which_columns_tell_kinds_apart():
    """Twelve kinds in four columns, among eight louder ones that say nothing and differ between a row's copies."""
    generator = generator_of(0, "kinds")
    centres = 2 * torch.randn(24, 4, generator=generator)
    kinds = torch.arange(24).repeat_interleave(20)

    def rows(kind):
        signal = centres[kind] + 0.3 * torch.randn(len(kind), 4, generator=generator)
        return torch.cat([signal, 2 * torch.randn(len(kind), 8, generator=generator)], 1)

    known = kinds[kinds < 12]
    first = rows(known)
    copies = [torch.cat([first[:, :4], 2 * torch.randn(len(first), 8, generator=generator)], 1) for _ in range(3)]
    pool = torch.stack([first, *copies], 1)
    objective = neighbours.Config(n_queue=256, neighbours_from=100, renew_every=50, n_cells=1, temperature=0.2)
    config = train.TrainConfig(steps=150, batch=64, lr=1e-2)
    nets = neighbours.Nets(VectorEncoder(n_inputs=12), torch.nn.Identity(), torch.nn.Identity())

    def view(generator, batch):
        return augment(generator, batch, Config(noise=0.05))

    encoder = train.last(train.train_pool(nets, pool, view, objective, config), total=150).nets.encoder
    new = kinds[kinds >= 12]

    def share_of_right_neighbours(features):
        features = torch.nn.functional.normalize(features - features.mean(0), dim=1)
        close = (features @ features.T).fill_diagonal_(-2)
        return float((new[close.argmax(1)] == new).float().mean())

    X = rows(new)
    before, after = share_of_right_neighbours(X), share_of_right_neighbours(neighbours.embed(encoder, X))
    assert after > before + 0.2
