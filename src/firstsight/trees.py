"""Maths on nested tensors: dicts, lists, tuples and NamedTuples, with None for "nothing here".

A *leaf* is a tensor. Dicts are walked in the order of their sorted keys, so that two dicts
with the same entries have the same leaves in the same order.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from firstsight.core import Data, Tree


def tree_map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply ``function`` to every leaf of ``tree`` and the matching leaves of ``others``.

    Parameters
    ----------
    function : callable
        ``(leaf, *other_leaves) -> value``.
    tree, *others : Tree
        Trees of one structure; where ``tree`` has None the result has None.

    Returns
    -------
    Tree
        Shaped like ``tree``.

    Raises
    ------
    ValueError
        When the structures differ.
    TypeError
        When something in the tree is neither a tensor, None, nor a known container.

    """
    if tree is None:
        if any(other is not None for other in others):
            raise ValueError("trees should have one structure; one has None where another does not")
        return None
    if isinstance(tree, Tensor):
        if not all(isinstance(other, Tensor) for other in others):
            raise ValueError("trees should have one structure; one has a tensor where another does not")
        return function(tree, *others)
    keys = _keys(tree)
    for other in others:
        if type(other) is not type(tree) or _keys(other) != keys:
            raise ValueError(
                f"trees should have one structure; {type(tree).__name__} with {keys} met another {type(other).__name__}"
            )
    values = [tree_map(function, _entry(tree, key), *(_entry(other, key) for other in others)) for key in keys]
    if isinstance(tree, Mapping):
        return dict(zip(keys, values, strict=True))
    if hasattr(tree, "_fields"):
        return type(tree)(*values)
    return type(tree)(values)


def named_leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield ``("path.to.leaf", tensor)`` for every leaf, in a fixed order.

    >>> [name for name, _ in named_leaves({"b": torch.ones(2), "a": [torch.ones(1)]})]
    ['a.0', 'b']
    """
    if tree is None:
        return
    if isinstance(tree, Tensor):
        yield prefix, tree
        return
    for key in _keys(tree):
        yield from named_leaves(_entry(tree, key), f"{prefix}.{key}" if prefix else str(key))


def is_below(name: str, branches: tuple[str, ...]) -> bool:
    """Whether a leaf's name is one of the branches or lies below one.

    >>> is_below("head.weight", ("head",)), is_below("header", ("head",))
    (True, False)
    """
    return any(name == branch or name.startswith(f"{branch}.") for branch in branches)


def check_branches(what: str, branches: tuple[str, ...], tree: Tree) -> None:
    """Refuse names that are neither a leaf nor a branch of the tree.

    Raises
    ------
    ValueError
        With the names there are.

    """
    names = [name for name, _ in named_leaves(tree)]
    for branch in branches:
        if not any(is_below(name, (branch,)) for name in names):
            raise ValueError(f"{what}={branches} should name leaves or branches of {names}; found no {branch!r}")


def leaves(tree: Tree) -> list[Tensor]:
    """All leaves, in the order of :func:`named_leaves`."""
    return [leaf for _, leaf in named_leaves(tree)]


def replace_leaves(tree: Tree, new: Mapping[str, Tensor]) -> Tree:
    """A tree shaped like ``tree`` with the leaf of each name taken from ``new``.

    Raises
    ------
    ValueError
        When a name is missing or left over, or a shape differs.

    """
    names = [name for name, _ in named_leaves(tree)]
    if set(names) != set(new):
        missing, extra = sorted(set(names) - set(new)), sorted(set(new) - set(names))
        raise ValueError(f"leaf names should match; missing {missing}, not expected {extra}")
    for name, leaf in named_leaves(tree):
        if leaf.shape != new[name].shape:
            raise ValueError(f"leaf {name!r} should have shape {tuple(leaf.shape)}; found {tuple(new[name].shape)}")
    ordered = iter(names)
    return tree_map(lambda _: new[next(ordered)], tree)


def index(tree: Tree, task: int | slice) -> Tree:
    """Task ``task`` (or a slice of tasks) of a batch: every leaf indexed on its first axis."""
    return tree_map(lambda leaf: leaf[task], tree)


def stack(trees: list[Tree]) -> Tree:
    """Trees of single tasks to one batch: leaves stacked on a new first axis."""
    return tree_map(lambda *parts: torch.stack(parts), *trees)


def concatenate(trees: list[Tree]) -> Tree:
    """Batches joined on their first axis."""
    return tree_map(lambda *parts: torch.cat(parts), *trees)


def join_rows(first: Data, second: Data) -> Data:
    """The rows of two data sets of one task as one data set."""
    joined = [
        None if one is None or other is None else torch.cat([one, other])
        for one, other in zip(first, second, strict=True)
    ]
    assert joined[0] is not None
    return Data(joined[0], *joined[1:])


def n_tasks(tree: Tree) -> int:
    """The length of the task axis of a batch.

    Raises
    ------
    ValueError
        When the leaves disagree or there are none.

    """
    lengths = {name: leaf.shape[0] if leaf.ndim else None for name, leaf in named_leaves(tree)}
    if len(set(lengths.values())) != 1 or None in lengths.values():
        raise ValueError(f"every tensor of a batch should have one task axis in front; found lengths {lengths}")
    return int(next(iter(lengths.values())) or 0)


def vmap_axes(tree: Tree) -> Tree:
    """``in_dims`` for ``torch.func.vmap``: 0 for every tensor and None for every None."""
    return tree_map(lambda _: 0, tree)


def cast(tree: Tree, dtype: torch.dtype) -> Tree:
    """Floating-point leaves as ``dtype``; others (class numbers) unchanged."""
    return tree_map(lambda leaf: leaf.to(dtype) if leaf.is_floating_point() else leaf, tree)


def detach(tree: Tree) -> Tree:
    """The same values outside any gradient."""
    return tree_map(lambda leaf: leaf.detach(), tree)


def squared_distance(first: Tree, second: Tree) -> Tensor:
    """Sum over all leaves of the squared differences, of shape ()."""
    terms = leaves(tree_map(lambda one, other: ((one - other) ** 2).sum(), first, second))
    return torch.stack(terms).sum()


def norm(tensors: list[Tensor]) -> Tensor:
    """Euclidean norm of all entries of all tensors, of shape ()."""
    total: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part) for part in tensors]))
    return total


def _keys(tree: Tree) -> list[Any]:
    if isinstance(tree, Mapping):
        return sorted(tree)
    if hasattr(tree, "_fields"):
        return list(tree._fields)
    if isinstance(tree, list | tuple):
        return list(range(len(tree)))
    raise TypeError(
        "a tree should hold tensors, None, dicts, lists, tuples and NamedTuples; "
        f"found {type(tree).__name__}; turn numbers into tensors with torch.tensor"
    )


def _entry(tree: Tree, key: Any) -> Tree:
    return getattr(tree, key) if hasattr(tree, "_fields") else tree[key]
