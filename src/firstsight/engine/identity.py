"""What a run is made of, as JSON, so that a checkpoint can tell whether it belongs to it.

Meta-learners and task distributions are partials of module-level functions over frozen settings, so
their names and settings can be read off.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor


def described(value: Any) -> Any:
    """A value as JSON that is the same in every process.

    Parameters
    ----------
    value : object
        Partials are described by their function and what they bind, dataclasses by their fields,
        tensors by shape and digest, other objects by their class alone.

    Returns
    -------
    JSON value

    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous()
        digest = hashlib.blake2b(content.numpy().tobytes(), digest_size=8).hexdigest()
        return f"{value.dtype} {tuple(value.shape)} {digest}"
    if isinstance(value, functools.partial):
        bound = [*value.args, *([value.keywords] if value.keywords else [])]
        return {_name(value.func): described(bound)}
    if dataclasses.is_dataclass(value):
        fields = {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {_name(type(value)): fields}
    if isinstance(value, Mapping):
        return {str(key): described(part) for key, part in sorted(value.items(), key=lambda item: str(item[0]))}
    if hasattr(value, "_fields"):
        return {name: described(part) for name, part in zip(value._fields, value, strict=True)}
    if isinstance(value, list | tuple):
        return [described(part) for part in value]
    return _name(value) if callable(value) and hasattr(value, "__qualname__") else _name(type(value))


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
