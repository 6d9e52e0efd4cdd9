"""Checks of settings whose messages name the rule, the value seen and the cure."""

import operator
from collections.abc import Sequence
from typing import Any


def check_number(
    name: str,
    value: Any,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    integer: bool = False,
) -> None:
    """Refuse a hyperparameter outside its range.

    Raises
    ------
    TypeError
        When it is no number, or no integer where one is asked for.
    ValueError
        When it is outside the range or not finite.

    >>> check_number("inner_steps", 0, at_least=1, integer=True)
    Traceback (most recent call last):
    ...
    ValueError: inner_steps=0 should be >= 1

    """
    kind = int if integer else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind):
        wanted = "a whole number, a Python int" if integer else "a number, a Python int or float"
        raise TypeError(f"{name}={value!r} should be {wanted}; found {type(value).__name__}")
    rules = [(at_least, ">=", operator.ge), (at_most, "<=", operator.le), (above, ">", operator.gt)]
    for limit, sign, holds in rules:
        if limit is not None and not holds(value, limit):
            raise ValueError(f"{name}={value} should be {sign} {limit}")
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{name}={value} should be finite")


def check_range(name: str, value: Any, *, integer: bool = False, **limits: float) -> None:
    """Refuse a ``(low, high)`` pair that is no pair, is out of order, or leaves its limits."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name}={value!r} should be a pair (low, high)")
    for number in value:
        check_number(name, number, integer=integer, **limits)
    if value[0] > value[1]:
        raise ValueError(f"{name}={value} should have low <= high; swap them")


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse a word that is not among the choices.

    >>> check_choice("backend", "gpu", ["vmap", "loop"])
    Traceback (most recent call last):
    ...
    ValueError: backend='gpu' should be one of 'vmap', 'loop'
    """
    if value not in choices:
        raise ValueError(f"{name}={value!r} should be one of {', '.join(map(repr, choices))}")


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}={value!r} should be True or False")


def check_names(name: str, value: Any) -> None:
    """Refuse what is no tuple of names of leaves or branches."""
    if not isinstance(value, tuple | list) or not all(isinstance(entry, str) for entry in value):
        raise TypeError(f"{name}={value!r} should be a tuple of names, such as ('head',)")


def check_widths(name: str, value: Any) -> None:
    """Refuse what is no tuple of layer widths, whole numbers >= 1."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name}={value!r} should be a tuple of widths, such as (40, 40)")
    for width in value:
        check_number(name, width, at_least=1, integer=True)


def check_texts(name: str, texts: Any) -> None:
    """Refuse what is no sequence of strings, and say where the first is that is none.

    >>> check_texts("texts", ["one", None])
    Traceback (most recent call last):
    ...
    TypeError: texts[1] should be a string; found None of type NoneType; drop it, or write it as text
    """
    if isinstance(texts, str | bytes):
        raise TypeError(f"{name} should be a list of strings; found one {type(texts).__name__}; pass [{name}]")
    if not isinstance(texts, Sequence):
        raise TypeError(f"{name} should be a list of strings; found {type(texts).__name__}; convert with list({name})")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"{name}[{place}] should be a string; found {repr(text)[:60]} of type {type(text).__name__}; "
                "drop it, or write it as text"
            )
