from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstsight import trees


class Pair(NamedTuple):
    left: object
    right: object


tensors = st.integers(0, 3).map(lambda n: torch.arange(float(n)))
nested = st.recursive(
    tensors | st.none(),
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=8,
)


@given(nested)
def test_names_and_leaves_rebuild_the_tree(tree):
    named = dict(trees.named_leaves(tree))
    assert len(named) == len(trees.leaves(tree))
    again = trees.replace_leaves(tree, named)
    assert trees.tree_map(lambda one, other: one is other, tree, again) == trees.tree_map(lambda _: True, tree)


@given(nested)
def test_map_keeps_the_structure_and_changes_nothing(tree):
    before = [leaf.clone() for leaf in trees.leaves(tree)]
    doubled = trees.tree_map(lambda leaf: 2 * leaf, tree)
    assert [name for name, _ in trees.named_leaves(doubled)] == [name for name, _ in trees.named_leaves(tree)]
    assert all(torch.equal(leaf, kept) for leaf, kept in zip(trees.leaves(tree), before, strict=True))


@given(st.permutations(["x", "y", "z"]))
def test_order_of_keys_does_not_matter(keys):
    tree = {key: torch.tensor(float(ord(key))) for key in keys}
    assert [float(leaf) for leaf in trees.leaves(tree)] == [120.0, 121.0, 122.0]


def test_stack_and_index_are_inverse():
    parts = [{"a": torch.full((2,), float(i)), "b": None} for i in range(3)]
    batch = trees.stack(parts)
    assert trees.n_tasks(batch) == 3
    assert all(torch.equal(trees.index(batch, i)["a"], parts[i]["a"]) for i in range(3))
    assert trees.vmap_axes(batch) == {"a": 0, "b": None}


@pytest.mark.parametrize(
    ("tree", "other"),
    [
        ({"a": torch.ones(1)}, {"b": torch.ones(1)}),
        ({"a": torch.ones(1)}, torch.ones(1)),
        (torch.ones(1), {"a": torch.ones(1)}),
        ([torch.ones(1)], (torch.ones(1),)),
        (None, torch.ones(1)),
        ([torch.ones(1)], None),
        ([torch.ones(1)], [torch.ones(1), torch.ones(1)]),
    ],
)
def test_different_structures_are_refused(tree, other):
    with pytest.raises(ValueError, match="one structure"):
        trees.tree_map(torch.add, tree, other)


def test_wrong_names_shapes_and_types_are_refused():
    tree = {"a": torch.ones(2)}
    with pytest.raises(ValueError, match=r"missing \['a'\], not expected \['b'\]"):
        trees.replace_leaves(tree, {"b": torch.ones(2)})
    with pytest.raises(ValueError, match=r"leaf 'a' should have shape \(2,\); found \(3,\)"):
        trees.replace_leaves(tree, {"a": torch.ones(3)})
    with pytest.raises(TypeError, match="found float; turn numbers into tensors"):
        trees.leaves({"a": 1.0})
    with pytest.raises(ValueError, match="one task axis in front"):
        trees.n_tasks({"a": torch.ones(2), "b": torch.ones(3)})
