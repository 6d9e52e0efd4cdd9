"""Embeddings from pools without labels: better than pixels, the same when resumed, and ignorant of any class."""

import inspect

import numpy as np
import pytest
import torch
from torch.nn import functional

from firstsight import datasets
from firstsight.augment import images
from firstsight.engine.checkpoint import CheckpointError
from firstsight.nets.encoder import Encoder, head, seeded
from firstsight.pools import neighbours, train
from firstsight.pools.neighbours import Config, Memory, Nets
from firstsight.seeds import generator_of
from firstsight.tasks import augmented, pseudo_labels
from firstsight.tasks import neighbours as neighbour_tasks

MILD = images.Config(rotation=10.0, scale=0.1, shear=10.0, shift=0.1, elastic=0.03)


def view(generator, X):
    return images.augment(generator, X, MILD)


def nets(n_filters=8, width=16):
    encoder = Encoder(image_size=8, n_filters=n_filters, n_blocks=2)
    parts = encoder, head(encoder.n_features, 2 * width, width), head(width, 2 * width, width)
    return Nets(*(seeded(part, number) for number, part in enumerate(parts)))


def pool(n=60):
    return torch.from_numpy(datasets.load_digits().X[:n])


OBJECTIVE = Config(n_queue=32, neighbours_from=3, renew_every=4, n_cells=2)
SHORT = train.TrainConfig(steps=10, batch=16, checkpoint_every=4)


def trained(directory=None, config=SHORT, objective=OBJECTIVE, X=None):
    steps = train.train_pool(nets(), pool() if X is None else X, view, objective, config, directory=directory)
    return train.last(steps, total=config.steps)


def weights(step):
    return [value for net in step.nets for value in net.state_dict().values()] + list(step.memory)


def same(first, second):
    return all(torch.equal(one, other) for one, other in zip(weights(first), weights(second), strict=True))


def test_the_same_seed_gives_the_same_and_the_start_is_not_changed():
    start, state = nets(), torch.get_rng_state()
    before = [value.clone() for net in start for value in net.state_dict().values()]
    last = train.last(train.train_pool(start, pool(), view, OBJECTIVE, SHORT), total=10)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(last, trained())
    after = [value for net in start for value in net.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert (last.memory.partners >= 0).any()


def test_a_resumed_run_gives_the_same_to_the_bit(tmp_path):
    steps = train.train_pool(nets(), pool(), view, OBJECTIVE, SHORT, directory=tmp_path)
    for _ in range(6):  # stopped two steps after its checkpoint, between two searches for neighbours
        next(steps)
    steps.close()
    resumed = trained(tmp_path)
    assert same(resumed, trained())
    again = list(train.train_pool(nets(), pool(), view, OBJECTIVE, SHORT, directory=tmp_path))
    assert [step.step for step in again] == [10]
    assert same(again[0], resumed)
    assert again[0].loss == resumed.loss


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    trained(tmp_path)
    with pytest.raises(CheckpointError, match="temperature"):
        trained(tmp_path, objective=Config(n_queue=32, neighbours_from=3, renew_every=4, n_cells=2, temperature=0.2))
    with pytest.raises(CheckpointError, match="pool"):
        trained(tmp_path, X=pool(50))


@pytest.mark.slow
def test_bfloat16_trains():
    config = train.TrainConfig(steps=4, batch=16, dtype="bfloat16")
    assert all(value.isfinite().all() for value in weights(trained(config=config)))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="n_rows=10"):
        train.train_pool(nets(), pool(10), view, OBJECTIVE, SHORT)
    with pytest.raises(ValueError, match="n_queue=8"):
        train.train_pool(nets(), pool(), view, Config(n_queue=8), SHORT)
    with pytest.raises(ValueError, match="finite"):
        train.train_pool(nets(), torch.full((20, 1, 8, 8), torch.nan), view, OBJECTIVE, SHORT)


def nearest_accuracy(embedded, y, n_tasks=300):
    """5-way 1-shot accuracy by cosine."""
    space, generator = functional.normalize(embedded - embedded.mean(0), dim=1), generator_of(0, "tasks")
    members = [np.flatnonzero(y == label) for label in range(10)]
    right = []
    for _ in range(n_tasks):
        classes = torch.randperm(10, generator=generator)[:5].tolist()
        rows = torch.stack(
            [torch.from_numpy(members[c])[torch.randperm(len(members[c]), generator=generator)[:6]] for c in classes]
        )
        scores = space[rows[:, 1:]] @ space[rows[:, 0]].T
        right.append((scores.argmax(2) == torch.arange(5)[:, None]).float().mean())
    return float(torch.stack(right).mean())


def test_an_embedding_beats_pixels():
    digits = datasets.load_digits()
    X = torch.from_numpy(digits.X)
    # Ten classes: most negatives of a large queue would be of the row's own.
    objective = Config(
        neighbours_from=100, renew_every=50, n_queue=64, n_cells=1, n_neighbours=10, own=0.2, temperature=0.3
    )
    config = train.TrainConfig(steps=250, batch=64)
    done = train.last(train.train_pool(nets(32, 64), X, view, objective, config), total=config.steps)
    embedded = neighbours.embed(done.nets.encoder, X)
    ours, raw = nearest_accuracy(embedded, digits.y), nearest_accuracy(X.flatten(1), digits.y)
    assert ours > raw + 0.05, (ours, raw)
    partners = done.memory.partners
    alike = torch.from_numpy(digits.y)[partners.clamp(min=0)] == torch.from_numpy(digits.y)[:, None]
    assert float(alike[partners >= 0].float().mean()) > 0.9


def test_an_image_is_embedded_as_if_it_were_alone():
    encoder = seeded(Encoder(image_size=8, n_filters=4), 0)
    encoder(pool())  # running statistics
    together = neighbours.embed(encoder, pool())
    alone = torch.cat([neighbours.embed(encoder, row[None]) for row in pool()])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert encoder.training


def test_contrast_is_cross_entropy_without_friends():
    keys = functional.normalize(torch.randn(3, 4, generator=generator_of(0)), dim=1)
    queue = functional.normalize(torch.randn(2, 4, generator=generator_of(1)), dim=1)
    rows = torch.tensor([0, 1, 2])
    # Row 0 has row 4 as a partner, whose key is the first of the queue: no negative of it.
    partners = torch.full((6, 1), -1)
    partners[0] = 4
    memory = Memory(queue, torch.tensor([4, -1]), partners)
    found = neighbours.contrast(keys, keys, rows, rows, memory, 0.5)
    scores = keys @ torch.cat([keys, queue]).T / 0.5
    scores[0, 3] = -torch.inf
    assert float(found) == pytest.approx(float(-scores.log_softmax(1).diagonal().mean()), abs=1e-6)


def test_the_queue_forgets_the_oldest():
    memory = neighbours.empty(generator_of(0), Config(n_queue=4), n_rows=9, n_outputs=2)
    for step in range(3):
        memory = neighbours.enqueue(
            memory, torch.full((2, 2), float(step)), torch.tensor([2 * step, 2 * step + 1]), step
        )
    assert memory.rows.tolist() == [4, 5, 2, 3]


def test_neighbours_are_those_of_a_full_search():
    space = functional.normalize(torch.randn(50, 5, generator=generator_of(0)), dim=1)
    scores = (space @ space.T).fill_diagonal_(-2)
    found = neighbour_tasks.nearest(generator_of(1), space, n_neighbours=4)
    assert torch.equal(found, scores.topk(4, 1).indices)
    kept = neighbour_tasks.mutual(found)
    pairs = {(i, int(j)) for i, row in enumerate(kept) for j in row if j >= 0}
    assert pairs
    assert pairs == {(j, i) for i, j in pairs}
    small = neighbour_tasks.nearest(generator_of(1), space, n_neighbours=40, n_cells=5)
    assert (small == -1).any()


def test_sinkhorn_spreads_a_row_that_all_like():
    scores = torch.eye(4) + torch.tensor([0.0, 0.0, 0.0, 2.0])
    assert scores.argmax(1).tolist() == [3, 3, 3, 3]
    shares = neighbour_tasks.sinkhorn(scores)
    assert shares.argmax(1).tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(shares.sum(1), torch.ones(4))


@pytest.mark.parametrize("build", [augmented.build, pseudo_labels.build, neighbour_tasks.build, train.train_pool])
def test_nothing_takes_a_label(build):
    assert not {"y", "labels", "truth", "classes", "n_classes"} & set(inspect.signature(build).parameters)


def test_tasks_depend_on_the_pool_and_the_seed_alone():
    """There is nowhere to hand a label in (the test above); built twice, the tasks are the same."""
    X = pool(200)
    space = X.flatten(1)
    for make in (
        lambda: augmented.build(augmented.Config(), X, view),
        lambda: pseudo_labels.build(pseudo_labels.Config(n_clusters=12, n_query=2, n_partitions=2), X, space),
        lambda: neighbour_tasks.build(neighbour_tasks.Config(), X, space, generator=generator_of(0)),
    ):
        first, second = (make()(generator_of(3), 2) for _ in range(2))
        assert torch.equal(first.support.X, second.support.X)
        assert torch.equal(first.query.X, second.query.X)
        assert torch.equal(first.query.y, second.query.y)
        assert sorted(first.support.y[0].tolist()) == list(range(5))
