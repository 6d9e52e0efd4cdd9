"""In-context learning: a transformer reads the support as a set, and answers for the query in one pass.

Prior-data fitted networks (Mueller et al. 2021, arXiv:2112.10510; TabPFN, Hollmann et al. 2022, arXiv:2207.01848)
over sets (Set Transformer, Lee et al. 2019, arXiv:1810.00825). With f the learner's ``predict``, the support gives
the tokens

    T_0 = [slots; f(X) W + y V],    T_b = block_b(T_{b-1}, T_{b-1}),

where the slots are learned tokens and y is read only where the target says so. A row of the query passes through the
same blocks and attends to these tokens alone, ``q_b = block_b(q_{b-1}, T_{b-1})``: it tells nobody anything, and it
is answered alone. Nothing knows the order of the support. Trained on many tasks, the answer for a row tends to its
posterior under the distribution the tasks come from: inference is learned, and there is no inner loop.

What is answered is the ``target`` (see ``meta/answers.py``). For clusters a slot is a cluster, and the score of a row
is the cosine between the two, so that as many clusters as the support asks for are used, at most ``n_outputs``. The
index by which clusters are scored says little while they are all wrong, so in meta-training the rows' own vectors are
scored too, by how well the means of the true clusters tell them apart (``losses.prototype_cross_entropy``): that a
row should be like those of its cluster is learned first, and which slot stands for them after that.
For a density a slot is a Gaussian with its own weight, mean and covariance over the row itself,

    log p(x) = logsumexp_j [log w_j + log det L_j - 1/2 ||L_j (x - m_j)||^2] - d/2 log 2 pi,

with L_j lower triangular: as many numbers as a row has, squared, so this is for rows of few numbers.

Differs from the papers: the row embedding is the learner's; clusters are learned slots that attend as rows do, and
not classes in a fixed order; no output is binned.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from firstsight.checks import check_number
from firstsight.core import Data, Learner, Loss, MetaLearner, Task, Tree
from firstsight.losses import prototype_cross_entropy
from firstsight.meta.answers import READ, check_outer_loss, check_target, embedding_width, objective, score, truth_read
from firstsight.meta.inner import settled
from firstsight.nets.attention import AttentionBlock
from firstsight.nets.functional import Functional
from firstsight.tensor_checks import check_rows

SLOTTED = ("clusters", "density")
SHARPNESS = 8.0
"""Of the scores of clusters: the larger, the surer a net can be, and the sooner a slot that is not used is lost."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of in-context learning.

    Parameters
    ----------
    target : {"clusters", "classes", "values", "anomalies", "density"}
        What is answered for a row of the query; see ``meta/answers.py``.
    n_outputs : int
        The most clusters there may be, classes, columns of the values, Gaussians of the density, >= 1; 1 for
        anomalies.
    width : int
        Columns of a token, >= 1.
    n_heads : int
        Heads of attention, >= 1; should divide the width.
    n_blocks : int
        Blocks of attention, >= 1.
    rows_weight : float
        Of clusters: how much the loss of the rows' vectors counts in meta-training, >= 0; see above.

    """

    target: Literal["clusters", "classes", "values", "anomalies", "density"] = "clusters"
    n_outputs: int = 8
    width: int = 64
    n_heads: int = 4
    n_blocks: int = 4
    rows_weight: float = 0.3

    def __post_init__(self) -> None:
        check_target(self.target, self.n_outputs)
        for name in ("width", "n_heads", "n_blocks"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        check_number("rows_weight", self.rows_weight, at_least=0)


class Net(nn.Module):
    """Reads the rows of a support, or answers for rows by what was read."""

    def __init__(self, config: Config, n_embedded: int, n_features: int) -> None:
        super().__init__()
        width = config.width
        self.row = nn.Linear(n_embedded, width)
        if config.target in READ:
            self.truth = nn.Linear(config.n_outputs, width, bias=False)
        if config.target in SLOTTED:
            self.slots = nn.Embedding(config.n_outputs, width)
            self.after_slots = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(AttentionBlock(width, config.n_heads) for _ in range(config.n_blocks))
        self.slotted, self.density = config.target in SLOTTED, config.target == "density"
        if self.density:
            self.tell = nn.Linear(width, 1 + n_features + n_features * (n_features + 1) // 2)
            return
        self.after = nn.LayerNorm(width)
        self.answer = nn.Linear(width, width if self.slotted else config.n_outputs)
        if self.slotted:
            self.tell = nn.Linear(width, width)

    def forward(self, embedded: Tensor, truth: Tensor | None = None, read: Tree = None) -> Tree:
        """What is read of a support, a dict; or the answers for rows, of shape (n_rows, ...), by what was ``read``.

        Parameters
        ----------
        embedded : Tensor of shape (n_rows, n_embedded)
            Rows of the support, or of the query where there is something ``read``.
        truth : Tensor of shape (n_rows, n_outputs), optional
            Of the support, where it is read.
        read : dict, optional
            ``tokens`` of shape (n_blocks, n_slots + n_rows, width), what each block attends to; beside it, or for a
            density instead, what the slots tell: ``clusters`` of shape (n_outputs, width), or the ``mixture``.

        """
        rows = self.row(embedded)
        if read is not None:
            return self._answers(rows, read)
        if truth is not None:
            rows = rows + self.truth(truth)
        tokens = torch.cat([self.slots.weight, rows]) if self.slotted else rows
        seen = [tokens]
        for block in self.blocks[:-1]:
            seen.append(block(seen[-1], seen[-1]))
        found = {"tokens": torch.stack(seen)}
        if not self.slotted:
            return found
        # After the last block nobody looks at the rows of the support any more.
        slots = self.blocks[-1](seen[-1][: self.slots.num_embeddings], seen[-1])
        told = self.tell(self.after_slots(slots))
        return {"mixture": told} if self.density else {**found, "clusters": told}

    def _answers(self, rows: Tensor, read: Tree) -> Tensor:
        for block, tokens in zip(self.blocks, read["tokens"], strict=True):
            rows = block(rows, tokens)
        answers: Tensor = self.answer(self.after(rows))
        return answers


def log_density(X: Tensor, mixture: Tensor) -> Tensor:
    """The log-density of rows under a mixture of Gaussians, of shape (n_rows, 1).

    Parameters
    ----------
    X : Tensor of shape (n_rows, n_features)
        Rows.
    mixture : Tensor of shape (n_slots, 1 + n_features + n_features * (n_features + 1) / 2)
        A log-weight, a mean, the log-diagonal of L and what lies below it, row by row. The log-weights are
        normalised here.

    """
    n_features = X.shape[1]
    log_weights, means, log_diagonal, below = torch.split(
        mixture, [1, n_features, n_features, n_features * (n_features - 1) // 2], dim=1
    )
    away = X[:, None, :] - means
    # No matrix is written into, so that this goes through vmap: entry (i, j) of L times column j of what is away.
    lower, upper = torch.tril_indices(n_features, n_features, -1, device=X.device)
    row = torch.arange(n_features, device=X.device)
    summed = (lower[:, None] == row).to(X.dtype)
    whitened = away * log_diagonal.exp() + (away[..., upper] * below) @ summed
    logs = log_weights[:, 0].log_softmax(0) + log_diagonal.sum(1) - 0.5 * (whitened**2).sum(2)
    return (torch.logsumexp(logs, 1) - 0.5 * n_features * math.log(2 * math.pi))[:, None]


def adapt(theta: Tree, support: Data, *, learner: Learner, net: Functional, config: Config) -> Tree:
    """What the support tells: the learner as it settles it, with the tokens of every block, the slots, or the mixture.

    Raises
    ------
    ValueError
        When truth is to be read and the support has none.

    """
    truth = truth_read(support, config.target, config.n_outputs)
    model = settled(theta["embedding"], support, learner=learner)
    return {"model": model, **net(theta["net"], learner.predict(model, support.X), truth)}


def look(theta: Tree, state: Tree, X: Tensor, *, learner: Learner, net: Functional) -> Tensor:
    """Rows as they see themselves in the support: the answers, or for clusters a vector each."""
    check_rows("X", X, row_shape=learner.row_shape)
    seen: Tensor = net(theta["net"], learner.predict(state["model"], X), None, state)
    return seen


def scores(seen: Tensor, clusters: Tensor) -> Tensor:
    """How much every row belongs to every cluster, of shape (n_rows, n_outputs): cosines times the sharpness."""
    return SHARPNESS * functional.normalize(seen, dim=1) @ functional.normalize(clusters, dim=1).T


def predict(theta: Tree, state: Tree, X: Tensor, *, learner: Learner, net: Functional) -> Tensor:
    """The answers for rows, each alone, of shape (n_rows, n_outputs), or (n_rows, 1) for anomalies and a density."""
    if "mixture" in state:
        check_rows("X", X, row_shape=learner.row_shape)
        return log_density(X.flatten(1), state["mixture"])
    seen = look(theta, state, X, learner=learner, net=net)
    return scores(seen, state["clusters"]) if "clusters" in state else seen


def cluster_objective(
    theta: Tree, task: Task, *, learner: Learner, net: Functional, config: Config
) -> tuple[Tensor, Tensor]:
    """The loss of the clusters and that of the rows' vectors, to differentiate; the former, to report."""
    state = adapt(theta, task.support, learner=learner, net=net, config=config)
    seen = look(theta, state, task.query.X, learner=learner, net=net)
    loss = score(scores(seen, state["clusters"]), task.query, "clusters")
    assert task.query.y is not None
    return loss + config.rows_weight * prototype_cross_entropy(seen, task.query.y), loss.detach()


def init(generator: torch.Generator, *, learner: Learner, net: Functional) -> Tree:
    """The learner's parameters and those of the transformer: ``{"embedding": ..., "net": ...}``."""
    return {"embedding": learner.init(generator), "net": net.init(generator)}


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """In-context learning over the learner's ``predict`` as the row embedding.

    Parameters
    ----------
    config : Config
        Settings.
    learner : Learner
        With a ``row_shape``; its ``predict`` gives (n_rows, n_columns).
    outer_loss : None
        The target says how the query is scored.

    Raises
    ------
    ValueError
        When an outer loss is given, the learner does not say the shape of its rows, or the heads do not divide the
        width.

    """
    check_outer_loss(outer_loss)
    width = embedding_width(learner)
    assert learner.row_shape is not None
    with torch.device("meta"):  # draws nothing from the global generator
        module = Net(config, width, math.prod(learner.row_shape))
    net = Functional(module)
    bound_adapt = partial(adapt, learner=learner, net=net, config=config)
    bound_predict = partial(predict, learner=learner, net=net)
    if config.target == "clusters":
        bound_objective = partial(cluster_objective, learner=learner, net=net, config=config)
    else:
        bound_objective = partial(objective, adapt=bound_adapt, predict=bound_predict, target=config.target)
    return MetaLearner(
        init=partial(init, learner=learner, net=net),
        adapt=bound_adapt,
        predict=bound_predict,
        objective=bound_objective,
    )
