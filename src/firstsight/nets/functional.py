"""An ``nn.Module`` as a pure function of its parameters."""

import copy
import threading
from typing import Any

import torch
from torch import Tensor, nn

from firstsight.core import Tree

_GLOBAL_GENERATOR = threading.Lock()
_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class Functional:
    """``(params, *inputs) -> output`` for any module that is a pure function of its parameters.

    ``torch.func.functional_call`` swaps parameters into the module while it runs, so two threads
    must not share one; every thread works on a copy of its own. Pickles; the copies stay behind.

    Parameters
    ----------
    module : nn.Module
        Its own parameter values are never used. Modules that update buffers in ``forward``
        (BatchNorm with running statistics) or draw random numbers (dropout) are refused.

    Raises
    ------
    ValueError
        When the module has no parameters, or buffers, or dropout, or parameters that no
        ``reset_parameters`` initialises.

    """

    def __init__(self, module: nn.Module) -> None:
        name = type(module).__name__
        if not list(module.parameters()):
            raise ValueError(f"{name} should have parameters to learn; found none")
        if buffers := [buffer for buffer, _ in module.named_buffers()]:
            raise ValueError(
                f"{name} should have no buffers; found {buffers}; use GroupNorm or "
                "LayerNorm, or BatchNorm with track_running_stats=False"
            )
        if random := [part for part, layer in module.named_modules() if isinstance(layer, _DROPOUT)]:
            raise ValueError(f"{name} should draw no random numbers; found dropout {random}; remove it")
        # On the meta device: shapes without numbers.
        self._module = copy.deepcopy(module).requires_grad_(False).to("meta")
        self._local = threading.local()
        self.init(torch.Generator())

    def __call__(self, params: Tree, *inputs: Any) -> Any:
        """The module's output for parameters given as nested dicts."""
        if not hasattr(self._local, "module"):
            self._local.module = copy.deepcopy(self._module)
        return torch.func.functional_call(self._local.module, _flat(params), inputs)

    def init(self, generator: torch.Generator) -> Tree:
        """Fresh parameters as the module's own ``reset_parameters`` draws them, as nested dicts."""
        module = copy.deepcopy(self._module).to_empty(device="cpu")
        seed = int(torch.randint(2**62, (), generator=generator))
        # The initialisers of torch draw from the global generator: it is set and put back.
        with torch.no_grad(), _GLOBAL_GENERATOR:
            before = torch.default_generator.get_state()
            torch.default_generator.manual_seed(seed)
            try:
                for leaf in module.parameters():
                    leaf.fill_(torch.nan)
                for part in module.modules():
                    if callable(reset := getattr(part, "reset_parameters", None)):
                        reset()
            finally:
                torch.default_generator.set_state(before)
        if left := [name for name, leaf in module.named_parameters() if bool(leaf.isnan().any())]:
            raise ValueError(
                f"{type(module).__name__} should initialise all its parameters; {left} belong to modules "
                "without a reset_parameters method; add one"
            )
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
