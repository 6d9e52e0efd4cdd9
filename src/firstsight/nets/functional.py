"""An ``nn.Module`` as a pure function of its parameters."""

import copy
import threading
from typing import Any

import torch
from torch import Tensor, nn

from firstsight.core import Tree


class Functional:
    """``(params, X) -> output`` for any module without buffers that change.

    ``torch.func.functional_call`` swaps parameters into the module while it runs, so two threads
    must not share one; every thread works on a copy of its own. Pickles; the copies stay behind.

    Parameters
    ----------
    module : nn.Module
        Its own parameter values are never used. Modules that update buffers in ``forward``
        (BatchNorm with running statistics) are refused, because that is no pure function.

    Raises
    ------
    ValueError
        When the module has no parameters, or buffers.

    """

    def __init__(self, module: nn.Module) -> None:
        if not list(module.parameters()):
            raise ValueError(f"{type(module).__name__} should have parameters to learn; found none")
        buffers = [name for name, _ in module.named_buffers()]
        if buffers:
            raise ValueError(
                f"{type(module).__name__} should have no buffers; found {buffers}; use GroupNorm or "
                "LayerNorm, or BatchNorm with track_running_stats=False"
            )
        self._module = copy.deepcopy(module).requires_grad_(False)
        self._local = threading.local()

    def __call__(self, params: Tree, X: Tensor) -> Tensor:
        """The module's output for parameters given as nested dicts."""
        if not hasattr(self._local, "module"):
            self._local.module = copy.deepcopy(self._module)
        output: Tensor = torch.func.functional_call(self._local.module, _flat(params), (X,))
        return output

    def init(self, generator: torch.Generator) -> Tree:
        """Fresh parameters as the module's own ``reset_parameters`` draws them, as nested dicts."""
        module = copy.deepcopy(self._module)
        # The initialisers of torch draw from the global generator: it is set and put back.
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.random.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            for part in module.modules():
                if callable(reset := getattr(part, "reset_parameters", None)):
                    reset()
        return _nested({name: leaf.detach() for name, leaf in module.named_parameters()})

    def __getstate__(self) -> dict[str, Any]:
        return {"module": self._module}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._module = state["module"]
        self._local = threading.local()


def _nested(flat: dict[str, Tensor]) -> Tree:
    tree: dict[str, Any] = {}
    for name, leaf in flat.items():
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = leaf
    return tree


def _flat(tree: Tree, prefix: str = "") -> dict[str, Tensor]:
    flat: dict[str, Tensor] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= {name: value} if isinstance(value, Tensor) else _flat(value, f"{name}.")
    return flat
