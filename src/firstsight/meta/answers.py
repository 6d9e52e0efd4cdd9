"""What meta-learners share that read a support and answer for the query: which truth is read, what is
answered, and how the answer is scored.

==========  ==============  ================================  ==============================================
target      read            answer for a row                  loss on the query
==========  ==============  ================================  ==============================================
clusters    nothing         scores (n_rows, n_outputs)        soft adjusted Rand, cross-entropy of pairs
classes     class numbers   scores (n_rows, n_outputs)        cross-entropy
values      values          values (n_rows, n_outputs)        mean squared error
anomalies   nothing         a score (n_rows, 1), a log odds   cross-entropy of "any class but 0"
density     nothing         log-density (n_rows, 1)           mean negative log-density, without any truth
==========  ==============  ================================  ==============================================

Truth that is not read is needed in meta-training alone.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from firstsight import losses
from firstsight.checks import check_choice, check_number
from firstsight.core import Data, Learner, Loss, Task, Tree
from firstsight.nets.functional import Functional

TARGETS = ("clusters", "classes", "values", "anomalies", "density")
READ = ("classes", "values")


def check_target(target: str, n_outputs: int, targets: tuple[str, ...] = TARGETS) -> None:
    """Refuse a target that there is not, and a number of outputs that does not belong to it.

    Raises
    ------
    TypeError, ValueError
        With the rule, the value and the cure.

    """
    check_choice("target", target, targets)
    check_number("n_outputs", n_outputs, at_least=1, integer=True)
    if target == "anomalies" and n_outputs != 1:
        raise ValueError(f"n_outputs={n_outputs} should be 1 with target='anomalies': a row has one score")


def check_outer_loss(outer_loss: Loss | None) -> None:
    """Refuse an outer loss: what is answered says how it is scored."""
    if outer_loss is not None:
        raise ValueError("outer_loss should be None: target says how the query is scored; choose the target instead")


def embedding_width(learner: Learner) -> int:
    """How many columns the learner's ``predict`` gives for a row.

    Raises
    ------
    ValueError
        When the learner does not say what its rows are, or gives no vector for one.

    """
    if learner.row_shape is None:
        raise ValueError(
            "a learner whose rows are read on should say their shape; found row_shape=None; "
            "build it for one, or use learner._replace(row_shape=...)"
        )
    with torch.no_grad():
        embedded = learner.predict(learner.init(torch.Generator()), torch.zeros(2, *learner.row_shape))
    if embedded.ndim != 2:
        raise ValueError(
            f"the learner should give shape (n_rows, n_columns) for rows to be read on; found {tuple(embedded.shape)}"
        )
    return int(embedded.shape[1])


def init(generator: torch.Generator, *, learner: Learner, net: Functional) -> Tree:
    """The learner's parameters and those of what reads its rows: ``{"embedding": ..., "net": ...}``."""
    return {"embedding": learner.init(generator), "net": net.init(generator)}


def truth_read(support: Data, target: str, n_outputs: int) -> Tensor | None:
    """The truth of the support in ``n_outputs`` columns, one for a class or a value; None where none is read.

    Raises
    ------
    ValueError
        When there is none though it is to be read, or values have another number of columns.

    """
    if target not in READ:
        return None
    if support.y is None:
        raise ValueError(f"target={target!r} reads truth; found support.y=None; pass tasks or rows that have it")
    if target == "values":
        return _columns(support.y, support.X.dtype, n_outputs)
    return (support.y[:, None] == torch.arange(n_outputs, device=support.y.device)).to(support.X.dtype)


def score(answers: Tensor, query: Data, target: str) -> Tensor:
    """The loss of the answers for the query, of shape ().

    Raises
    ------
    ValueError
        When the target needs truth and there is none.

    """
    if target == "density":
        return -answers.mean()
    if query.y is None:
        raise ValueError(f"target={target!r} trains on truth; found query.y=None; draw tasks that have it")
    if target == "values":
        return losses.squared_error(answers, _columns(query.y, answers.dtype, answers.shape[1]))
    if target == "anomalies":
        return functional.binary_cross_entropy_with_logits(answers[:, 0], (query.y > 0).to(answers.dtype))
    if target == "classes":
        return losses.cross_entropy(answers, query.y)
    return losses.soft_adjusted_rand(answers, query.y) + losses.pair_cross_entropy(answers, query.y)


def objective(
    theta: Tree,
    task: Task,
    *,
    adapt: Callable[[Tree, Data], Tree],
    predict: Callable[[Tree, Tree, Tensor], Tensor],
    target: str,
) -> tuple[Tensor, Tensor]:
    """The loss of the query, to differentiate and to report."""
    loss = score(predict(theta, adapt(theta, task.support), task.query.X), task.query, target)
    return loss, loss.detach()


def _columns(y: Tensor, dtype: torch.dtype, n_outputs: int) -> Tensor:
    """Values of shape (n_rows,) or (n_rows, n_outputs) as the latter."""
    values = y[:, None] if y.ndim == 1 else y
    if values.ndim != 2 or values.shape[1] != n_outputs:
        raise ValueError(f"values should have shape (n_rows, n_outputs={n_outputs}); found {tuple(y.shape)}")
    return values.to(dtype)
