"""A memory: the support is read row after row, and the query looks up what was kept.

Memory-augmented networks (Santoro et al. 2016, arXiv:1605.06065). With f the learner's ``predict``, a long short-term
memory (Hochreiter and Schmidhuber 1997) reads the rows of the support in their order, with their truth where the
target says so, and writes what it then holds to a place of the memory of its own,

    x_i = f(X_i) W + y_i V,    (i, f, o, g) = [x_i, h_{i-1}] U + b,
    c_i = sigmoid(f) c_{i-1} + sigmoid(i) tanh(g),    h_i = sigmoid(o) tanh(c_i),    M = (h_1, ..., h_n).

A row of the query attends to M in several heads, ``n_reads`` times, and is answered alone. What is answered is the
``target`` (see ``meta/answers.py``); there is no inner loop.

**The answer may depend on the order of the support**: what is kept of a row rests on the rows before it. That suits
rows that come in an order, and a support to which rows are added one at a time; for a set, ``in_context`` knows no
order. Clusters are told apart by the order in which they are first seen.

Differs from the paper: the truth comes with its row and not one step later, as the query is asked apart; no place is
written over, for there are as many as rows; attention by products in several heads instead of cosine similarity.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from firstsight.checks import check_number
from firstsight.core import Data, Learner, Loss, MetaLearner, Tree
from firstsight.meta.answers import READ, check_outer_loss, check_target, embedding_width, init, objective, truth_read
from firstsight.meta.inner import settled
from firstsight.nets.attention import AttentionBlock
from firstsight.nets.functional import Functional
from firstsight.tensor_checks import check_rows

TARGETS = ("clusters", "classes", "values", "anomalies")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a memory.

    Parameters
    ----------
    target : {"clusters", "classes", "values", "anomalies"}
        What is answered for a row of the query; see ``meta/answers.py``.
    n_outputs : int
        The most clusters there may be, classes, or columns of the values, >= 1; 1 for anomalies.
    width : int
        Columns of a place of the memory, >= 1.
    n_heads : int
        Heads of attention, >= 1; should divide the width.
    n_reads : int
        How often a row of the query reads the memory, >= 1.

    """

    target: Literal["clusters", "classes", "values", "anomalies"] = "classes"
    n_outputs: int = 5
    width: int = 64
    n_heads: int = 4
    n_reads: int = 2

    def __post_init__(self) -> None:
        check_target(self.target, self.n_outputs, TARGETS)
        for name in ("width", "n_heads", "n_reads"):
            check_number(name, getattr(self, name), at_least=1, integer=True)


class Net(nn.Module):
    """Writes the memory of a support, or answers for rows by what it holds."""

    def __init__(self, config: Config, n_embedded: int) -> None:
        super().__init__()
        width = config.width
        self.row = nn.Linear(n_embedded, width)
        if config.target in READ:
            self.truth = nn.Linear(config.n_outputs, width, bias=False)
        self.gates = nn.Linear(2 * width, 4 * width)
        self.reads = nn.ModuleList(AttentionBlock(width, config.n_heads) for _ in range(config.n_reads))
        self.after = nn.LayerNorm(width)
        self.answer = nn.Linear(width, config.n_outputs)

    def forward(self, embedded: Tensor, truth: Tensor | None = None, memory: Tensor | None = None) -> Tensor:
        """The memory of a support, of shape (n_rows, width); or, given one, answers of shape (n_rows, n_outputs).

        Parameters
        ----------
        embedded : Tensor of shape (n_rows, n_embedded)
            Rows of the support, in their order, or of the query where there is a ``memory``.
        truth : Tensor of shape (n_rows, n_outputs), optional
            Of the support, where it is read.
        memory : Tensor of shape (n_places, width), optional
            What was written.

        """
        rows: Tensor = self.row(embedded)
        if memory is not None:
            for read in self.reads:
                rows = read(rows, memory)
            answers: Tensor = self.answer(self.after(rows))
            return answers
        if truth is not None:
            rows = rows + self.truth(truth)
        held = cell = torch.zeros_like(rows[0])
        written = []
        for row in rows:
            let_in, keep, let_out, new = self.gates(torch.cat([row, held])).chunk(4)
            cell = keep.sigmoid() * cell + let_in.sigmoid() * new.tanh()
            held = let_out.sigmoid() * cell.tanh()
            written.append(held)
        return torch.stack(written)


def adapt(theta: Tree, support: Data, *, learner: Learner, net: Functional, config: Config) -> Tree:
    """The learner as the support settles it, and the memory of the support.

    Raises
    ------
    ValueError
        When truth is to be read and the support has none.

    """
    truth = truth_read(support, config.target, config.n_outputs)
    model = settled(theta["embedding"], support, learner=learner)
    return {"model": model, "memory": net(theta["net"], learner.predict(model, support.X), truth)}


def predict(theta: Tree, state: Tree, X: Tensor, *, learner: Learner, net: Functional) -> Tensor:
    """The answers for rows, each alone, of shape (n_rows, n_outputs)."""
    check_rows("X", X, row_shape=learner.row_shape)
    answers: Tensor = net(theta["net"], learner.predict(state["model"], X), None, state["memory"])
    return answers


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """A memory over the learner's ``predict`` as the row embedding.

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
    with torch.device("meta"):  # draws nothing from the global generator
        module = Net(config, width)
    net = Functional(module)
    bound_adapt = partial(adapt, learner=learner, net=net, config=config)
    bound_predict = partial(predict, learner=learner, net=net)
    return MetaLearner(
        init=partial(init, learner=learner, net=net),
        adapt=bound_adapt,
        predict=bound_predict,
        objective=partial(objective, adapt=bound_adapt, predict=bound_predict, target=config.target),
    )
