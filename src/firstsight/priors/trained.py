"""Members whose centre and strengths are meta-trained: MAML over exact steps of a Gaussian mixture.

Each task shows some rows of a past table to the mixture, which moves by MAP-EM, and asks how likely that makes others;
the gradient of that goes to the components and to the strengths by which they are pulled (:mod:`firstsight.meta.maml`,
:mod:`firstsight.learners.gmm`). Training begins at what EM finds on the pooled rows.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from firstsight.core import Data, Task, Tree
from firstsight.density.em import Pull
from firstsight.density.incomplete import Floats, Ints
from firstsight.density.mixture import Mixture, component_scores, log_sum
from firstsight.engine.config import TrainConfig
from firstsight.engine.train import meta_train
from firstsight.learners import gmm
from firstsight.meta import maml
from firstsight.priors.alignment import shift_of
from firstsight.priors.members import LEAST_VARIANCE, Encoded, Ground, Member

__all__ = ["trained_member"]

INNER_STEPS = 3
OUTER_STEPS = 100
META_BATCH = 8
N_QUERY = 40
OUTER_LR = 0.02


def trained_member(
    member: Member, tables: Sequence[Encoded], ground: Ground, z: Sequence[Floats], sizes: Sequence[int], *, seed: int
) -> Member | None:
    """A pooled member, meta-trained.

    Parameters
    ----------
    member : Member
        What training begins at.
    tables : sequence of Encoded
        Past tables.
    ground : Ground
        The member's space.
    z : sequence of ndarray of shape (n_rows, d)
        The tables' rows there.
    sizes : sequence of int
        Rows that tasks show; small ones.
    seed : int
        Of the tasks.

    Returns
    -------
    Member or None
        None when there is nothing to train on: no number, or too few tables with enough complete rows.

    """
    whole = [rows[~np.isnan(rows).any(1)] for rows in z]
    smallest = min(sizes)
    enough = [rows for rows in whole if len(rows) >= smallest + 2]
    centre = member.pull.centre
    if centre.means.shape[1] == 0 or len(enough) < 2:
        return None
    n_components, d = centre.means.shape
    learner = gmm.build(gmm.Config(n_features=d, n_clusters=n_components, variance_floor=LEAST_VARIANCE, prior=True))
    meta = maml.build(maml.Config(inner="refine", inner_steps=INNER_STEPS), learner)
    config = TrainConfig(
        steps=OUTER_STEPS, meta_batch=META_BATCH, outer_lr=OUTER_LR, schedule="cosine", seed=seed, backend="vmap",
        chunk=META_BATCH, threads=1, dtype="float64",
    )  # fmt: skip
    sample = partial(tasks_of, tables=enough, sizes=sizes, ground=ground, aligned=member.aligned)
    theta = start_of(member)
    for step in meta_train(meta, sample, config, start=theta):
        theta = step.theta
    return _member_of(theta, member, tables, z, ground)


def tasks_of(
    generator: torch.Generator,
    n_tasks: int,
    *,
    tables: list[Floats],
    sizes: Sequence[int],
    ground: Ground,
    aligned: bool,
) -> Task:
    """Tasks of past tables: so many rows of one are shown, others are asked; tables are moved where members are."""
    n_shown = sizes[int(torch.randint(len(sizes), (1,), generator=generator))]
    able = [rows for rows in tables if len(rows) >= n_shown + 2]
    n_query = min(N_QUERY, min(len(rows) for rows in able) - n_shown)
    support, query = [], []
    for place in torch.randint(len(able), (n_tasks,), generator=generator).tolist():
        rows = able[place]
        chosen = rows[torch.randperm(len(rows), generator=generator)[: n_shown + n_query].numpy()]
        if aligned:
            chosen = chosen - shift_of(ground.alignment, chosen[:n_shown])
        support.append(chosen[:n_shown])
        query.append(chosen[n_shown:])
    return Task(*(Data(torch.from_numpy(np.stack(part))) for part in (support, query)))


def start_of(member: Member) -> Tree:
    """The learner's parameters at a member."""
    centre, pull = member.pull.centre, member.pull
    rows = (pull.covariance_rows, pull.mean_rows, pull.weight_rows)
    strengths = torch.tensor(rows, dtype=torch.float64).log()
    return {
        "log_weights": torch.from_numpy(centre.log_weights),
        "means": torch.from_numpy(centre.means),
        **gmm.from_covariances(torch.from_numpy(centre.covariances), floor=LEAST_VARIANCE),
        **dict(zip(gmm.STRENGTHS, strengths, strict=True)),
    }


def _member_of(theta: Tree, member: Member, tables: Sequence[Encoded], z: Sequence[Floats], ground: Ground) -> Member:
    def array(tensor: Tensor) -> Floats:
        return np.asarray(tensor.detach().numpy(), np.float64)

    covariance_rows, mean_rows, weight_rows = (float(theta[name].exp()) for name in gmm.STRENGTHS)
    numbers_alone = Mixture(
        array(theta["log_weights"].log_softmax(0)),
        array(theta["means"]),
        array(gmm.covariances(theta, floor=LEAST_VARIANCE)),
    )
    pull = member.pull
    levels = pull.centre.levels
    if levels:
        rows = np.concatenate([part - shift_of(ground.alignment, part) if member.aligned else part for part in z])
        levels = _levels(numbers_alone, rows, np.concatenate([table.codes for table in tables]), levels)
    centre = numbers_alone._replace(levels=levels)
    return Member(
        f"{member.name}, meta-trained",
        member.aligned,
        Pull(centre, weight_rows, mean_rows, covariance_rows, pull.level_rows),
        INNER_STEPS,
        member.tables,
    )


def _levels(mixture: Mixture, z: Floats, codes: Ints, before: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """Shares of levels among the rows of each component, with a row's worth of what all have."""
    scores = component_scores(mixture, z, codes[:, :0])
    shares = np.exp(scores - log_sum(scores, 1)[:, None])
    found = []
    for table, column in zip(before, codes.T, strict=True):
        seen = np.eye(table.shape[1] + 1)[column][:, :-1]
        whole = seen.sum(0) + 0.5
        counts = shares.T @ seen + whole / whole.sum()
        found.append(np.log(counts / counts.sum(1, keepdims=True)))
    return tuple(found)
