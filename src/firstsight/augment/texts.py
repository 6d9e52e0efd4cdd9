"""Random changes of short texts that leave what is meant: words left out, alone or in a run.

A text is its words, parted by white space. Each is left out with probability ``drop`` (as EDA's random deletion, Wei
and Zou 2019, arXiv:1901.11196), and so is one run of words (span masking, as SpanBERT, Joshi et al. 2020,
arXiv:1907.10529) whose length is drawn evenly up to a share of the text.

Differs from both: no word is put in another's place, which would need a dictionary or a language model; and what is
masked is left out, so that any model of texts can read the copy. At least one word always stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from firstsight.checks import check_number, check_texts


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the changes; every one is off at its default.

    Parameters
    ----------
    drop : float
        Probability that a word is left out, 0 to 1.
    span : float
        The longest run of words that is left out, as a share of the text's words, 0 to 1; its length is uniform
        between no word and that.

    """

    drop: float = 0.0
    span: float = 0.0

    def __post_init__(self) -> None:
        for name in ("drop", "span"):
            check_number(name, getattr(self, name), at_least=0, at_most=1)


SENTENCES = Config(drop=0.15, span=0.3)
"""For requests and questions of five to twenty words."""


def changed(generator: torch.Generator, texts: Sequence[str], config: Config) -> list[str]:
    """Copies of some texts, each changed in its own way.

    Parameters
    ----------
    generator : torch.Generator
        Draws the changes.
    texts : sequence of str
        A text of fewer than two words, an empty one among them, comes back as it is.
    config : Config
        How far the changes go.

    Returns
    -------
    list of str
        As many; words in their order, parted by one space. None is empty that was not.

    Raises
    ------
    TypeError
        When something is no string; its place is named.

    >>> changed(torch.Generator().manual_seed(2), ["book a table for two", "yes"], Config(drop=0.5))
    ['book table two', 'yes']

    """
    check_texts("texts", texts)
    words = [text.split() for text in texts]
    # Everything is drawn at once: a call for each text would take longer than the changes.
    chance = torch.rand(sum(map(len, words)), generator=generator).tolist()
    runs = torch.rand(len(words), 2, generator=generator).tolist()
    copies, start = [], 0
    for text, row, (length, place) in zip(texts, words, runs, strict=True):
        draws = chance[start : start + len(row)]
        start += len(row)
        copies.append(text if len(row) < 2 else " ".join(_kept(row, draws, length, place, config)))
    return copies


def _kept(row: list[str], draws: list[float], length: float, place: float, config: Config) -> list[str]:
    """The words that stay; the one with the highest draw if all would go."""
    run = int(length * (config.span * len(row) + 1))
    first = int(place * (len(row) - run + 1))
    kept = [
        word
        for number, (word, draw) in enumerate(zip(row, draws, strict=True))
        if draw >= config.drop and not first <= number < first + run
    ]
    return kept or [row[draws.index(max(draws))]]
