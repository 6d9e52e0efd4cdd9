"""Changes of images: nothing at zero strength, known places, range, and the same draw from the same seed."""

import dataclasses

import pytest
import torch

from firstsight.augment import images
from firstsight.augment.images import Config, augment
from firstsight.seeds import generator_of

EVERYTHING = dataclasses.replace(images.LINES, crop=0.5, erase=0.5)


def pictures(n=6, channels=2, height=12, width=9):
    return torch.rand(n, channels, height, width, generator=generator_of(0, "pictures"))


def test_zero_strength_changes_nothing():
    X = pictures()
    assert torch.equal(augment(generator_of(0), X, Config()), X)
    places = images.draw_places(generator_of(0), len(X), Config())
    torch.testing.assert_close(images.warp(X, places), X, rtol=0, atol=1e-5)
    assert torch.equal(images.stroke(X, torch.zeros(len(X))), X)
    assert torch.equal(images.erase(X, images.draw_holes(generator_of(0), len(X), Config())), X)


@pytest.mark.parametrize(
    "config",
    [
        EVERYTHING,
        *(
            Config(**{name: value})
            for name, value in dataclasses.asdict(EVERYTHING).items()
            if value != getattr(Config(), name)
        ),
    ],
    ids=str,
)
def test_shape_range_seed_and_purity(config):
    X = pictures(n=40)
    before, state = X.clone(), torch.get_rng_state()
    changed = augment(generator_of(1), X, config)
    assert changed.shape == X.shape
    assert changed.dtype == X.dtype
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1 + 1e-6
    assert not torch.equal(changed, X)
    assert torch.equal(X, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(changed, augment(generator_of(1), X, config))
    assert not torch.equal(changed, augment(generator_of(2), X, config))


def test_a_quarter_turn_is_that_of_torch():
    X = pictures(height=9, width=9)
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).repeat(len(X), 1, 1)
    places = images.draw_places(generator_of(0), len(X), Config())._replace(matrix=quarter)
    torch.testing.assert_close(images.warp(X, places), torch.rot90(X, 1, (2, 3)), rtol=0, atol=1e-5)


def test_a_shift_by_a_pixel_moves_by_a_pixel():
    X = pictures(height=8, width=8)
    places = images.draw_places(generator_of(0), len(X), Config())
    places = places._replace(shift=torch.tensor([2 / 8, 0.0]).repeat(len(X), 1))
    moved = images.warp(X, places)
    torch.testing.assert_close(moved[..., :-1], X[..., 1:], rtol=0, atol=1e-5)
    assert float(moved[..., -1].abs().max()) < 1e-5  # paper comes in


def test_strokes_become_wider_and_narrower():
    X = torch.zeros(2, 1, 9, 9)
    X[:, :, 3:6] = 1
    wide, narrow = images.stroke(X, torch.tensor([1.0, -1.0]))
    assert wide.sum() == 5 * 9
    assert narrow.sum() == 1 * 9


def test_turns_are_uniform_within_their_limit():
    places = images.draw_places(generator_of(0), 4000, Config(rotation=30.0))
    angle = torch.atan2(places.matrix[:, 1, 0], places.matrix[:, 0, 0]).rad2deg()
    assert float(angle.abs().max()) <= 30
    assert abs(float(angle.mean())) < 1
    assert float(angle.std()) == pytest.approx(30 / 3**0.5, rel=0.05)


def test_erased_rectangles_are_as_many_as_asked_for():
    X = torch.ones(2000, 1, 20, 20)
    gone = (augment(generator_of(0), X, Config(erase=0.4, erase_side=0.5)) == 0).flatten(1)
    assert float(gone.any(1).float().mean()) == pytest.approx(0.4, abs=0.05)
    assert float(gone.float().mean(1).max()) <= 0.3


def test_waves_interpolate_constants():
    torch.testing.assert_close(images.bumps(28, 5).sum(1), torch.ones(28))


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Config)])
def test_settings_are_checked_and_documented(name):
    with pytest.raises((TypeError, ValueError), match=name):
        Config(**{name: -1.0})
    assert f"{name} : " in Config.__doc__


def test_wrong_images_are_refused():
    with pytest.raises(ValueError, match="channels, height, width"):
        augment(generator_of(0), torch.zeros(3, 8, 8), EVERYTHING)
    with pytest.raises(TypeError, match="floating-point"):
        augment(generator_of(0), torch.zeros(3, 1, 8, 8, dtype=torch.uint8), EVERYTHING)
