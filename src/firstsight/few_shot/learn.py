"""From a pool without labels to an embedding: train an encoder on it, measure how classes scatter."""

import dataclasses
import warnings
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from firstsight.engine.checkpoint import digest
from firstsight.few_shot import two_covariances
from firstsight.few_shot.calibrate import calibrate
from firstsight.few_shot.embedding import NETS, Embedding
from firstsight.few_shot.prepare import READ, Config, Prepared, Recipe
from firstsight.few_shot.two_covariances import Space
from firstsight.inputs.kinds import is_path, kind_of, listed
from firstsight.nets.encoder import head, seeded
from firstsight.pools import neighbours, train
from firstsight.pools.neighbours import embed
from firstsight.seeds import generator_of
from firstsight.tasks.neighbours import centred, mutual, nearest

FEWEST = 16  # things of a pool
MANY = 40  # neighbours whose scatter is measured
PER_CELL = 5000  # things among which neighbours are sought
MOST_MEASURED = 10_000  # things whose scatter is measured


def learn(
    pool: Any, config: Config, *, encoder: nn.Module | None = None, directory: Path | str | None = None
) -> Embedding:
    """Learn an embedding from a pool without labels.

    Parameters
    ----------
    pool : array, list or folder
        Things of one kind; see :func:`firstsight.inputs.kinds.kind_of`.
    config : Config
        Settings.
    encoder : nn.Module, optional
        One's own: the tensors that the kind is read into to features (n_rows, n_features). It is copied.
    directory : path, optional
        Where the training keeps a checkpoint; what was stopped goes on from there.

    Raises
    ------
    TypeError, ValueError
        When the pool or a setting is not what it should be; see also :func:`firstsight.pools.train.train_pool`.
    ImportError
        When the kind needs a library that is not installed.

    """
    items = listed(pool)
    kind = config.kind
    if kind == "auto":
        waveforms = config.sample_rate is not None and not is_path(items[0])
        kind = "sounds" if waveforms else kind_of(items)
    ready = READ[kind](items, config)
    n_rows = len(ready.X)
    if n_rows < FEWEST:
        unread = ""
        if ready.left_out:
            unread = f", {len(ready.left_out)} left out, such as {ready.left_out[0].name}: {ready.left_out[0].why}"
        raise ValueError(
            f"a pool should hold at least {FEWEST} things that can be read; found {n_rows}{unread}; pass more"
        )
    if ready.left_out:
        first = ready.left_out[0]
        warnings.warn(
            f"{len(ready.left_out)} of {len(items)} things of the pool are left out, such as {first.name}: "
            f"{first.why}; prior.left_out lists them",
            stacklevel=3,
        )
    net: tuple[str, dict[str, Any]] | None = None
    if encoder is None:
        net = ready.net
        encoder = seeded(NETS[net[0]](**net[1]), config.seed)
    width = _width(encoder, ready.X)
    heads: tuple[nn.Module, nn.Module] = (nn.Identity(), nn.Identity())
    if ready.recipe.heads:
        heads = seeded(head(width, 512, 128), config.seed + 1), seeded(head(128, 512, 128), config.seed + 2)
    nets = neighbours.Nets(encoder, *heads)
    objective, training = settings_of(n_rows, config, ready.recipe)
    about = {"kind": kind, "method": config.method, "n_things": n_rows, "n_left_out": len(ready.left_out)}
    about |= {"steps": training.steps, "batch": training.batch, "seed": config.seed}
    about |= {"changes": _told(ready.changes)}
    # What tells this training from another in the same folder; functions cannot be told apart.
    told = about | {"pool": digest({"X": ready.X} | dict(encoder.state_dict()))} if directory is not None else about
    taken = train.train_pool(nets, ready.X, ready.augment, objective, training, directory=directory, about=told)
    done = train.last(taken, total=training.steps, label=f"pool of {kind}")
    return measured(ready, kind, done.nets.encoder, net, config.seed, about)


def settings_of(n_rows: int, config: Config, recipe: Recipe) -> tuple[neighbours.Config, train.TrainConfig]:
    """The objective and the training for a pool of some size."""
    steps = config.steps or min(recipe.steps[1], max(recipe.steps[0], n_rows // 4))
    batch = min(config.batch or recipe.batch, n_rows // 2)
    before, searches = recipe.searches
    first = max(1, round(before * steps))
    usual = neighbours.Config(**recipe.objective)
    objective = dataclasses.replace(
        usual,
        neighbours_from=first if config.method == "neighbours" else steps + 1,
        renew_every=max(1, (steps - first) // searches),
        n_neighbours=min(usual.n_neighbours, n_rows - 1),
        n_queue=max(batch, min(usual.n_queue, n_rows // 2)),
        n_cells=max(1, n_rows // PER_CELL),
    )
    training = train.TrainConfig(
        steps=steps, batch=batch, lr=recipe.lr, seed=config.seed, checkpoint_every=max(1, steps // 16)
    )
    return objective, training


def measured(
    ready: Prepared,
    kind: str,
    encoder: nn.Module,
    net: tuple[str, dict[str, Any]] | None,
    seed: int,
    about: dict[str, Any],
) -> Embedding:
    """The embedding of a trained encoder: how things scatter is measured on (up to 10,000 of) the pool."""
    generator = generator_of(seed, "scatter")
    rows = ready.X[torch.randperm(len(ready.X), generator=generator)[:MOST_MEASURED]]
    embedded, *changed = (
        embed(encoder, part).float()
        for part in (
            rows,
            *(torch.cat([ready.augment(generator, x) for x in torch.split(rows, 1024)]) for _ in range(2)),
        )
    )
    space = two_covariances.learn(embedded, embedded, changed[0], copies=True)
    if ready.recipe.scatter != "copies":
        space = by_neighbours(generator, embedded, space, even=ready.recipe.scatter == "even")
    places = two_covariances.placed(space, embedded)
    calibration = calibrate(generator, space, places, two_covariances.placed(space, changed[1]))
    return Embedding(
        kind=kind,
        reader=ready.reader,
        encoder=encoder,
        net=net,
        space=space,
        calibration=calibration,
        left_out=tuple(ready.left_out),
        about=about,
    )


def by_neighbours(generator: torch.Generator, embedded: Tensor, space: Space, *, even: bool = False) -> Space:
    """The space in which mutual neighbours scatter evenly, looked for twice; as it was where there are too few."""
    wanted = min(MANY, len(embedded) - 1)
    seen = centred(embedded)
    for _ in range(2):
        found = mutual(nearest(generator, seen, n_neighbours=wanted, n_cells=max(1, len(seen) // PER_CELL)))
        row, place = (found >= 0).nonzero(as_tuple=True)
        if len(row) < FEWEST:
            return space
        one, other = embedded[row], embedded[found[row, place]]
        space = (
            two_covariances.learn_even(embedded, one, other)
            if even
            else two_covariances.learn(embedded, one, other, copies=False)
        )
        seen = functional.normalize(two_covariances.placed(space, embedded), dim=1)
    return space


def _told(changes: Any) -> Any:
    """Settings of changes as JSON says them."""
    if isinstance(changes, dict):
        return changes
    return asdict(changes) if is_dataclass(changes) and not isinstance(changes, type) else "a function of one's own"


def _width(encoder: nn.Module, X: Tensor) -> int:
    """How many features an encoder gives, after a trial on two rows."""
    try:
        features = embed(encoder, X[:2])
    except Exception as error:
        raise ValueError(
            f"the encoder should take rows of shape {tuple(X.shape[1:])}; found {type(error).__name__}: {error}"
        ) from error
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != 2:
        found = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"the encoder should give features (n_rows, n_features); found {found} for two rows")
    return features.shape[1]
