"""Modules as pure functions: no global random state, safe in threads."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import nn

from firstsight.engine.identity import described
from firstsight.learners import classifier, kmeans
from firstsight.meta import maml
from firstsight.nets.conv import conv, conv_features
from firstsight.nets.functional import Functional
from firstsight.nets.mlp import mlp
from firstsight.seeds import generator_of
from firstsight.trees import leaves


def test_building_and_initialising_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    learner = classifier.build(classifier.Config(n_features=3))
    learner.init(generator_of(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_initialising_in_threads_gives_what_it_gives_alone():
    learner = classifier.build(classifier.Config(n_features=3))
    alone = leaves(learner.init(generator_of(1)))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: leaves(learner.init(generator_of(1))), range(100)))
    assert all(torch.equal(one, other) for found in together for one, other in zip(alone, found, strict=True))


def test_a_functional_computes_what_its_module_computes():
    module = mlp((3, 5, 2), activation="gelu")
    net, X = Functional(module), torch.randn(4, 3, generator=generator_of(0))
    params = {"0": {"weight": module[0].weight, "bias": module[0].bias}, "2": dict(module[2].named_parameters())}
    torch.testing.assert_close(net(params, X), module(X))


@pytest.mark.parametrize(("size", "blocks"), [(28, 4), (8, 4), (5, 2), (1, 1)])
def test_width_of_the_convolutional_body(size, blocks):
    body = conv(n_channels=2, image_size=size, n_filters=3, n_blocks=blocks)
    output = body(torch.zeros(1, 2, size, size))
    assert output.shape == (1, conv_features(image_size=size, n_filters=3, n_blocks=blocks))


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="should hold at least the input and the output width"):
        mlp((3,))
    with pytest.raises(ValueError, match="n_channels=0 should be >= 1"):
        conv(n_channels=0, image_size=8)


def test_runs_are_told_apart_by_what_they_are_made_of():
    def made(**settings):
        learner = kmeans.build(kmeans.Config(n_clusters=4))
        return described(maml.build(maml.Config(**settings), learner))

    assert made() == made()
    assert made() != made(inner_lr=0.5)
    assert described(partial(max, torch.ones(2))) != described(partial(max, torch.zeros(2)))
    first, second = (Functional(nn.Linear(2, width)) for width in (1, 3))
    assert described(first) == described(second) == "firstsight.nets.functional.Functional"
