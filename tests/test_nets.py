"""Modules as pure functions: no global random state, safe in threads."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import nn

from firstsight.core import Data
from firstsight.engine.identity import described
from firstsight.learners import classifier, kmeans
from firstsight.meta import maml
from firstsight.nets import attention
from firstsight.nets.conv import Conv
from firstsight.nets.functional import Functional
from firstsight.nets.mlp import mlp
from firstsight.nets.norm import BatchNorm
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


@pytest.mark.parametrize("downsample", ["pool", "stride"])
@pytest.mark.parametrize("norm", ["image", "batch"])
@pytest.mark.parametrize(("size", "blocks"), [(28, 4), (8, 4), (5, 2), (1, 1)])
def test_width_of_the_convolutional_body(size, blocks, norm, downsample):
    body = Conv(n_channels=2, image_size=size, n_filters=3, n_blocks=blocks, norm=norm, downsample=downsample)
    features, statistics = body(torch.randn(2, 2, size, size, generator=generator_of(0)))
    assert features.shape == (2, body.n_features)
    assert len(statistics) == blocks
    assert [found is not None for found in statistics] == [norm == "batch"] * blocks


def test_batch_normalisation_is_that_of_torch():
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3, track_running_stats=False)
    images, others = (torch.randn(n, 3, 4, 5, generator=generator_of(n)) for n in (6, 2))
    for norm in (ours, theirs):
        norm.weight.data = torch.tensor([0.5, 2.0, -1.0])
        norm.bias.data = torch.tensor([0.0, 1.0, 2.0])
    normalised, statistics = ours(images)
    torch.testing.assert_close(normalised, theirs(images))
    expected = nn.functional.batch_norm(others, *statistics, ours.weight, ours.bias)
    torch.testing.assert_close(ours(others, statistics)[0], expected)


def _adapted(norm, X, y, X_query):
    config = classifier.Config(body="conv", image_size=6, n_filters=4, n_outputs=3, norm=norm, downsample="stride")
    meta = maml.build(maml.Config(inner_lr=0.3, inner_steps=2), classifier.build(config))
    theta = meta.init(generator_of(0))
    return meta.predict(theta, meta.adapt(theta, Data(X, y)), X_query)


@pytest.mark.parametrize(("norm", "alone"), [("image", True), ("support", True), ("query", False)])
def test_only_the_statistics_of_a_query_make_its_rows_tell_on_each_other(norm, alone):
    generator = generator_of(1)
    X, y = torch.randn(6, 1, 6, 6, generator=generator), torch.arange(6) % 3
    X_query = torch.randn(4, 1, 6, 6, generator=generator)
    together = _adapted(norm, X, y, X_query)
    one_by_one = torch.cat([_adapted(norm, X, y, row[None]) for row in X_query])
    assert torch.allclose(together, one_by_one, atol=1e-5) is alone


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="should hold at least the input and the output width"):
        mlp((3,))
    with pytest.raises(ValueError, match="n_channels=0 should be >= 1"):
        Conv(n_channels=0, image_size=8)


def test_runs_are_told_apart_by_what_they_are_made_of():
    def made(**settings):
        learner = kmeans.build(kmeans.Config(n_clusters=4))
        return described(maml.build(maml.Config(**settings), learner))

    assert made() == made()
    assert made() != made(inner_lr=0.5)
    assert described(partial(max, torch.ones(2))) != described(partial(max, torch.zeros(2)))
    first, second = (Functional(nn.Linear(2, width)) for width in (1, 3))
    assert described(first) == described(second) == "firstsight.nets.functional.Functional"


def test_attention_is_that_of_torch_and_knows_no_order():
    generator = generator_of(0)
    ours = attention.Attention(8, 2)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
        queries, rows = (torch.randn(n, 8, generator=generator) for n in (3, 5))
        expected = theirs(queries[None], rows[None], rows[None], need_weights=False)[0][0]
        torch.testing.assert_close(ours(queries, rows), expected)
        block, order = attention.AttentionBlock(8, 2), torch.tensor([2, 0, 4, 1, 3])
        torch.testing.assert_close(block(queries, rows[order]), block(queries, rows))
        torch.testing.assert_close(block(rows[order], rows[order]), block(rows, rows)[order])


def test_heads_should_divide_the_width():
    with pytest.raises(ValueError, match=r"width=8 should be a multiple of n_heads=3; change one of them"):
        attention.Attention(8, 3)
