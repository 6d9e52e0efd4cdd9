"""Short texts with intents: CLINC150 and BANKING77."""

import io
import json
from typing import NamedTuple

import pandas as pd

from firstsight.datasets.archives import read_bytes
from firstsight.datasets.cache import fetch

OUT_OF_SCOPE = "oos"


class Texts(NamedTuple):
    """Labelled texts.

    Parameters
    ----------
    table : DataFrame of shape (n_texts, n_columns)
        Columns ``text`` and ``label`` (a class name), and what else the data set knows.
    class_names : tuple of str
        What the classes are called, in the order of the publisher; not the label of what is out of scope.
    domains : dict of str to tuple of str
        Classes by domain; empty when the data set has none.

    """

    table: pd.DataFrame
    class_names: tuple[str, ...]
    domains: dict[str, tuple[str, ...]]


def load_clinc150(*, part: str = "all") -> Texts:
    """CLINC150: requests to an assistant, 150 intents of 10 domains, and requests outside all of them.

    Parameters
    ----------
    part : str
        ``train`` (15,000 and 100 out of scope), ``validation`` (3,000 and 100), ``test`` (4,500 and
        1,000), or ``all``.

    Returns
    -------
    Texts
        Columns ``text``, ``label``, ``domain``, ``out_of_scope`` (bool; label and domain are then
        ``oos``) and ``part``.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        When ``part`` is none of those named; see :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    Larson et al. 2019, arXiv:1909.02027.

    """
    keys = {"train": "train", "validation": "val", "test": "test"}
    chosen = _parts(part, tuple(keys))
    data_path, domains_path = fetch("clinc150")
    data = json.loads(read_bytes(data_path))
    domains = {name: tuple(intents) for name, intents in json.loads(read_bytes(domains_path)).items()}
    domain_of = {intent: name for name, intents in domains.items() for intent in intents} | {OUT_OF_SCOPE: OUT_OF_SCOPE}
    rows = [
        (text, label, domain_of[label], label == OUT_OF_SCOPE, name)
        for name in chosen
        for key in (keys[name], f"oos_{keys[name]}")
        for text, label in data[key]
    ]
    table = pd.DataFrame(rows, columns=["text", "label", "domain", "out_of_scope", "part"])
    return Texts(table, tuple(intent for intents in domains.values() for intent in intents), domains)


def load_banking77(*, part: str = "all") -> Texts:
    """BANKING77: questions of customers to a bank, 77 intents.

    Parameters
    ----------
    part : str
        ``train`` (10,003), ``test`` (3,080) or ``all``.

    Returns
    -------
    Texts
        Columns ``text``, ``label`` and ``part``.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        When ``part`` is none of those named; see :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    Casanueva et al. 2020, arXiv:2003.04807.

    """
    chosen = _parts(part, ("train", "test"))
    paths = dict(zip(("train", "test", "classes"), fetch("banking77"), strict=True))
    tables = [pd.read_csv(io.BytesIO(read_bytes(paths[name]))).assign(part=name) for name in chosen]
    table = pd.concat(tables, ignore_index=True).rename(columns={"category": "label"})
    return Texts(table, tuple(json.loads(read_bytes(paths["classes"]))), {})


def _parts(part: str, names: tuple[str, ...]) -> tuple[str, ...]:
    if part not in ("all", *names):
        raise ValueError(f"part={part!r} should be one of {', '.join(map(repr, ('all', *names)))}")
    return names if part == "all" else (part,)
