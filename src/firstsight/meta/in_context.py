"""In-context learning: a transformer reads the support as a set, and answers for the query in one pass.

Prior-data fitted networks (Mueller et al. 2021, arXiv:2112.10510; TabPFN, Hollmann et al. 2022, arXiv:2207.01848)
over sets (Set Transformer, Lee et al. 2019, arXiv:1810.00825). With f the learner's ``predict``, the support gives
the tokens

    T_0 = [slots; f(X) W + y V],    T_b = block_b(T_{b-1}, T_{b-1}),

where the slots are learned tokens and y is read only where the target says so. A row of the query passes through the
same blocks and attends to these tokens alone, ``q_b = block_b(q_{b-1}, T_{b-1})``: it tells nobody anything, and it
is answered alone. Nothing knows the order of the support. Trained on many tasks, the answer for a row tends to its
posterior under the distribution the tasks come from: inference is learned, and there is no inner loop.

What is answered is the ``target`` (see ``meta/answers.py``). For clusters every row gets a code,

    z = P x + V LayerNorm(row after the last block),

with P orthogonal at first, and the codes of the support, brought to mean 0 and total variance 1, are fitted with
mixtures of 1 to ``n_outputs`` Gaussians by expectation-maximisation unrolled (``nets/soft_mixture.py``): the net has
not to learn what a cluster is, but where rows should lie to be told apart. A further token that attends to the
support says beside it, with the likelihood and the entropy of every mixture, how many clusters there are; the
mixture of the most probable number answers. In meta-training the number of classes in the query is told, and learned
by its cross-entropy. Codes are few columns, no more than a row has: in further ones a cluster would have no extent.
For a density a slot is a Gaussian with its own weight, mean and covariance over the row itself,

    log p(x) = logsumexp_j [log w_j + log det L_j - 1/2 ||L_j (x - m_j)||^2] - d/2 log 2 pi,

with L_j lower triangular: as many numbers as a row has, squared, so this is for rows of few numbers.

Differs from the papers: the row embedding is the learner's; clusters are those of a mixture fitted to what was read,
and not classes in a fixed order; no output is binned.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from firstsight.checks import check_number
from firstsight.core import Data, Learner, Loss, MetaLearner, Task, Tree
from firstsight.meta import answers
from firstsight.meta.inner import settled
from firstsight.nets.attention import AttentionBlock
from firstsight.nets.functional import Functional
from firstsight.nets.soft_mixture import Mixtures, fit_mixtures, log_density, log_memberships
from firstsight.tensor_checks import check_rows

INNER_SPREAD = 0.1
"""Variance of a cluster expected at first, in units of the total variance of the codes."""


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
    n_code : int
        Of clusters: columns of a code, >= 1; see above.
    count_weight : float
        Of clusters: how much the cross-entropy of their number counts in meta-training, >= 0.

    """

    target: Literal["clusters", "classes", "values", "anomalies", "density"] = "clusters"
    n_outputs: int = 8
    width: int = 64
    n_heads: int = 4
    n_blocks: int = 4
    n_code: int = 2
    count_weight: float = 0.3

    def __post_init__(self) -> None:
        answers.check_target(self.target, self.n_outputs)
        for name in ("width", "n_heads", "n_blocks", "n_code"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        check_number("count_weight", self.count_weight, at_least=0)


class Place(nn.Linear):
    """A linear map that keeps distances, or projects, at first."""

    def reset_parameters(self) -> None:
        """Draw the weight."""
        nn.init.orthogonal_(self.weight)


class Prior(nn.Module):
    """The logarithms of the strength and the spread of a prior for covariances; see ``nets/soft_mixture.py``."""

    def __init__(self) -> None:
        super().__init__()
        self.logs = nn.Parameter(torch.empty(2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """One row of the expected variance."""
        nn.init.zeros_(self.logs)


class Net(nn.Module):
    """Reads the rows of a support, or answers for rows by what was read."""

    def __init__(self, config: Config, n_embedded: int, n_features: int) -> None:
        super().__init__()
        width, self.n_outputs = config.width, config.n_outputs
        self.row = nn.Linear(n_embedded, width)
        if config.target in answers.READ:
            self.truth = nn.Linear(config.n_outputs, width, bias=False)
        self.clusters, self.density = config.target == "clusters", config.target == "density"
        self.slotted = self.clusters or self.density
        if self.slotted:
            self.slots = nn.Embedding(1 if self.clusters else config.n_outputs, width)
            self.after_slots = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(AttentionBlock(width, config.n_heads) for _ in range(config.n_blocks))
        if self.density:
            self.tell = nn.Linear(width, 1 + n_features + n_features * (n_features + 1) // 2)
            return
        self.after = nn.LayerNorm(width)
        self.answer = nn.Linear(width, config.n_code if self.clusters else config.n_outputs)
        if self.clusters:
            self.place = Place(n_features, config.n_code, bias=False)
            self.prior = Prior()
            self.count = nn.Sequential(
                nn.Linear(width + 2 * config.n_outputs, width), nn.GELU(), nn.Linear(width, config.n_outputs)
            )

    def forward(self, embedded: Tensor, X: Tensor, truth: Tensor | None = None, read: Tree = None) -> Tree:
        """What is read of a support, a dict; or the answers for rows, of shape (n_rows, ...), by what was ``read``.

        Parameters
        ----------
        embedded : Tensor of shape (n_rows, n_embedded)
            Rows of the support, or of the query where there is something ``read``.
        X : Tensor of shape (n_rows, n_features)
            The same rows as they are.
        truth : Tensor of shape (n_rows, n_outputs), optional
            Of the support, where it is read.
        read : dict, optional
            ``tokens`` of shape (n_blocks, n_slots + n_rows, width), what each block attends to. For clusters beside
            it the ``mixtures`` of 1 to ``n_outputs`` clusters, ``centre`` and ``scale`` of the codes, and ``counts``
            of shape (n_outputs,), log-odds of the number of clusters; for a density instead the ``mixture``.

        """
        rows = self.row(embedded)
        if read is not None:
            for block, tokens in zip(self.blocks, read["tokens"], strict=True):
                rows = block(rows, tokens)
            return (self._codes(rows, X) - read["centre"]) * read["scale"] if self.clusters else self._answers(rows)
        if truth is not None:
            rows = rows + self.truth(truth)
        tokens = torch.cat([self.slots.weight, rows]) if self.slotted else rows
        seen = [tokens]
        for block in self.blocks[:-1]:
            seen.append(block(seen[-1], seen[-1]))
        found = {"tokens": torch.stack(seen)}
        if not self.slotted:
            return found
        # After the last block nobody looks at the rows of the support any more, but for their codes.
        n_slots = self.slots.num_embeddings
        last = self.blocks[-1](seen[-1] if self.clusters else seen[-1][:n_slots], seen[-1])
        slots = self.after_slots(last[:n_slots])
        if self.density:
            return {"mixture": self.tell(slots)}
        return {**found, **self._clusters(slots[0], self._codes(last[n_slots:], X))}

    def _answers(self, rows: Tensor) -> Tensor:
        answered: Tensor = self.answer(self.after(rows))
        return answered

    def _codes(self, rows: Tensor, X: Tensor) -> Tensor:
        codes: Tensor = self.place(X) + self._answers(rows)
        return codes

    def _clusters(self, slot: Tensor, codes: Tensor) -> Tree:
        centre = codes.mean(0)
        scale = ((codes - centre) ** 2).sum(1).mean().clamp(min=1e-12).rsqrt()
        Z = (codes - centre) * scale
        strength, spread = self.prior.logs.exp()
        mixtures = fit_mixtures(Z, self.n_outputs, strength, spread * INNER_SPREAD / Z.shape[1])
        logs = log_memberships(Z, mixtures)
        likelihoods = torch.logsumexp(logs, -1).mean(1)
        entropies = -(logs.softmax(-1) * logs.log_softmax(-1)).sum(-1).mean(1)
        told = torch.cat([likelihoods - likelihoods[0], entropies]).detach()
        counts = self.count(torch.cat([slot, 10 * told]))
        return {"mixtures": mixtures, "centre": centre, "scale": scale, "counts": counts}


def adapt(theta: Tree, support: Data, *, learner: Learner, net: Functional, config: Config) -> Tree:
    """What the support tells: the learner as it settles it, with what the net has read, a dict.

    Raises
    ------
    ValueError
        When truth is to be read and the support has none.

    """
    truth = answers.truth_read(support, config.target, config.n_outputs)
    model = settled(theta["embedding"], support, learner=learner)
    read = net(theta["net"], learner.predict(model, support.X), support.X.flatten(1), truth)
    return {"model": model, **read}


def count_probabilities(state: Tree) -> Tensor:
    """How probable each number of clusters from 1 to ``n_outputs`` is by a state, of shape (n_outputs,)."""
    probabilities: Tensor = state["counts"].softmax(0)
    return probabilities


def predict(theta: Tree, state: Tree, X: Tensor, *, learner: Learner, net: Functional) -> Tensor:
    """The answers for rows, each alone, of shape (n_rows, n_outputs), or (n_rows, 1) for anomalies and a density."""
    check_rows("X", X, row_shape=learner.row_shape)
    if "mixture" in state:
        return log_density(X.flatten(1), state["mixture"])
    answered: Tensor = net(theta["net"], learner.predict(state["model"], X), X.flatten(1), None, state)
    return cluster_scores(answered, state["mixtures"], state["counts"].argmax()) if "mixtures" in state else answered


def cluster_scores(codes: Tensor, mixtures: Mixtures, number: Tensor) -> Tensor:
    """The log-memberships of rows in the mixture at place ``number``, of shape (n_rows, n_outputs)."""
    is_it = (torch.arange(len(mixtures.logs), device=codes.device) == number).to(codes.dtype)
    return log_memberships(codes, Mixtures(*(torch.tensordot(is_it, part, 1) for part in mixtures)))


def cluster_objective(
    theta: Tree, task: Task, *, learner: Learner, net: Functional, config: Config
) -> tuple[Tensor, Tensor]:
    """The loss of the clusters, told how many there are, with that of their number, to differentiate and to report."""
    state, (X, y, _) = adapt(theta, task.support, learner=learner, net=net, config=config), task.query
    codes = net(theta["net"], learner.predict(state["model"], X), X.flatten(1), None, state)
    if y is None:
        raise ValueError("target='clusters' trains on truth; found query.y=None; draw tasks that have it")
    same = (y[:, None] == y[None, :]).to(X.dtype)
    number = (1 / same.sum(1)).sum().round().clamp(max=config.n_outputs) - 1
    is_true = (torch.arange(config.n_outputs, device=X.device) == number).to(X.dtype)
    loss = answers.score(cluster_scores(codes, state["mixtures"], number), task.query, "clusters")
    loss = loss - config.count_weight * (is_true * state["counts"].log_softmax(0)).sum()
    return loss, loss.detach()


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
    answers.check_outer_loss(outer_loss)
    width = answers.embedding_width(learner)
    assert learner.row_shape is not None
    with torch.device("meta"):  # draws nothing from the global generator
        module = Net(config, width, math.prod(learner.row_shape))
    net = Functional(module)
    bound_adapt = partial(adapt, learner=learner, net=net, config=config)
    bound_predict = partial(predict, learner=learner, net=net)
    if config.target == "clusters":
        bound_objective = partial(cluster_objective, learner=learner, net=net, config=config)
    else:
        bound_objective = partial(answers.objective, adapt=bound_adapt, predict=bound_predict, target=config.target)
    return MetaLearner(
        init=partial(answers.init, learner=learner, net=net),
        adapt=bound_adapt,
        predict=bound_predict,
        objective=bound_objective,
    )
