"""Command-line flags from frozen dataclasses: every field is a flag, with its type, default and docstring."""

import dataclasses
import inspect
import tomllib
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from docstring_parser import parse


def flags_of(
    kind: type, *, title: str, defaults: Mapping[str, Any], hidden: Sequence[str] = ()
) -> list[inspect.Parameter]:
    """The flags of a config.

    Parameters
    ----------
    kind : type
        A frozen dataclass whose docstring says what each field is.
    title : str
        Heading of its flags in the help.
    defaults : mapping
        Field to default, where it differs from the dataclass's own.
    hidden : sequence of str
        Fields that are no flags.

    Returns
    -------
    list of inspect.Parameter
        Keyword-only, one a field.

    """
    said = {entry.arg_name: entry.description for entry in parse(kind.__doc__ or "").params}
    hints = typing.get_type_hints(kind)
    group = Group.create_ordered(title)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(field.name, field.default),
            annotation=Annotated[
                hints[field.name],
                Parameter(help=" ".join((said.get(field.name) or "").split()), group=group, consume_multiple=True),
            ],
        )
        for field in dataclasses.fields(kind)
        if field.name not in hidden
    ]


def with_flags(function: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> Callable[..., Any]:
    """A function that takes these parameters by keyword and hands them to ``function`` as one dict.

    Raises
    ------
    ValueError
        When two parameters have one name.

    """
    names = [parameter.name for parameter in parameters]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"flags should have different names; found {twice} twice; rename a field of one config")

    def command(**values: Any) -> Any:
        return function({**{parameter.name: parameter.default for parameter in parameters}, **values})

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__ = function.__doc__
    return command


def config_of(kind: type, values: Mapping[str, Any]) -> Any:
    """The config made of the values that are its fields."""
    return kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values})


def read_toml(path: Path) -> dict[str, Any]:
    """Flags from a TOML file: ``inner_lr = 0.1`` or ``inner-lr = 0.1``, in sections or not.

    Returns
    -------
    dict
        Names with underscores to values.

    Raises
    ------
    ValueError
        When it is no TOML, or says something twice.
    FileNotFoundError
        When there is no such file.

    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(f"config={str(path)!r} should be a TOML file; there is none") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} should be TOML, such as: steps = 2000; {error}") from error
    flat: dict[str, Any] = {}
    sections = [content, *(value for value in content.values() if isinstance(value, dict))]
    for section in sections:
        for name, value in section.items():
            if isinstance(value, dict):
                if section is content:
                    continue
                raise ValueError(f"{path} has a section within a section, [...{name}]; one level is enough")
            key = name.replace("-", "_")
            if key in flat:
                raise ValueError(f"{path} says {name} twice; say it once")
            flat[key] = value
    return flat
