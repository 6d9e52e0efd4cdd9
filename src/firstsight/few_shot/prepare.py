"""Pools of each kind made ready: how things are read and changed, and by which recipe an encoder learns from them."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from firstsight.augment import images as image_changes
from firstsight.augment import sounds as sound_changes
from firstsight.augment import texts as text_changes
from firstsight.augment import vectors as vector_changes
from firstsight.checks import check_choice, check_number, check_texts
from firstsight.inputs import images, sounds, texts, vectors
from firstsight.inputs.kinds import LeftOut
from firstsight.pools.neighbours import Augment
from firstsight.seeds import generator_of

METHODS = ("neighbours", "contrast")
WIDTH = 384  # of TF-IDF's vectors
COPIES = 2  # of every text, with words left out
LOOKED_AT = 50_000  # pictures whose ground is measured


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the learning.

    Parameters
    ----------
    kind : {"auto", "images", "sounds", "texts", "vectors"}
        What the things are.
    method : {"neighbours", "contrast"}
        Whether things that the encoder finds alike are drawn together, or changed copies of one thing alone.
    steps : int or None
        Of the optimiser, >= 1; by the kind and the size of the pool if None: for images 1,000 up to 4,000 things
        and 5,000 from 20,000 on.
    batch : int or None
        Things a step, >= 2, at most half of the pool; what suits the kind if None.
    image_size : int
        Pixels of a side that images are scaled to, >= 4.
    sample_rate : int or None
        Of sounds, in hertz; files are resampled to it. 8,000 for files if None.
    vectorizer : callable or None
        A list of texts to an array (n_texts, n_features), such as ``SentenceTransformer(...).encode``; TF-IDF and a
        singular value decomposition learned on the pool if None.
    augment : Any
        Settings of the changes, of the kind's module in :mod:`firstsight.augment`, or a function (generator, tensor) ->
        tensor; those that suit the kind if None.
    seed : int
        Of all draws, >= 0.

    """

    kind: str = "auto"
    method: str = "neighbours"
    steps: int | None = None
    batch: int | None = None
    image_size: int = 28
    sample_rate: int | None = None
    vectorizer: Callable[[list[str]], Any] | None = None
    augment: Any = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("auto", *READ))
        check_choice("method", self.method, METHODS)
        check_number("image_size", self.image_size, at_least=4, integer=True)
        check_number("seed", self.seed, at_least=0, integer=True)
        for name, least in (("steps", 1), ("sample_rate", 100), ("batch", 2)):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), at_least=least, integer=True)
        if self.vectorizer is not None and not callable(self.vectorizer):
            raise TypeError(f"vectorizer={self.vectorizer!r} should be a function of a list of texts, or None")
        if self.augment is not None and not callable(self.augment) and not is_dataclass(self.augment):
            raise TypeError(f"augment={self.augment!r} should be settings, such as firstsight.augment.images.LINES")


class Recipe(NamedTuple):
    """How a kind is trained; what won on validation classes of Omniglot, FSDD and CLINC150.

    Parameters
    ----------
    objective : dict
        Fields of :class:`firstsight.pools.neighbours.Config`; queue, cells and searches besides come from the pool.
    batch, lr : int, float
        Of the training.
    steps : (int, int)
        At the least, and at the most: a quarter of the pool in between.
    searches : (float, int)
        For neighbours: the share of the steps before the first, and how many.
    heads : bool
        Whether contrast takes place behind two heads, or in the features themselves.
    scatter : {"copies", "neighbours", "even"}
        As what things of one class are taken to scatter: changed copies, mutual neighbours, or alike in all directions.

    """

    objective: dict[str, Any]
    batch: int
    lr: float
    steps: tuple[int, int]
    searches: tuple[float, int]
    heads: bool
    scatter: str


IMAGES = Recipe({}, 64, 2e-3, (1000, 5000), (0.25, 3), heads=True, scatter="copies")
SOUNDS = Recipe(
    {"temperature": 0.2, "n_neighbours": 20, "own": 0.1, "n_queue": 512},
    64, 2e-3, (300, 2000), (0.2, 4), heads=True, scatter="neighbours",
)  # fmt: skip
TEXTS = Recipe(
    {"temperature": 0.2, "n_neighbours": 20, "own": 0.0, "n_queue": 2048},
    128, 1e-3, (600, 600), (0.0, 3), heads=False, scatter="even",
)  # fmt: skip
ENCODED = TEXTS._replace(lr=1e-4)  # vectors of a model that knows much already


class Prepared(NamedTuple):
    """A pool of a kind, ready to be trained on.

    Parameters
    ----------
    reader : Any
        How a thing becomes a row.
    X : Tensor of shape (n_read, ...)
        The rows; texts come with changed copies of themselves.
    left_out : list of LeftOut
        What could not be read.
    changes : Any
        Settings of the changes.
    augment : Augment
        The changes.
    net : (str, dict)
        Name and settings of an encoder that suits.
    recipe : Recipe
        How it is trained.

    """

    reader: Any
    X: Tensor
    left_out: list[LeftOut]
    changes: Any
    augment: Augment
    net: tuple[str, dict[str, Any]]
    recipe: Recipe


def of_images(items: Any, config: Config) -> Prepared:
    """A pool of pictures: drawings, most of whose pixels are ground, are changed as such."""
    reader = images.learn(items, side=config.image_size)
    X, _, left_out = images.read(reader, items)
    ground = float((X[:LOOKED_AT] < 0.1).float().mean()) if len(X) else 1.0
    usual = image_changes.LINES if ground > 0.5 else image_changes.OBJECTS
    changes, augment = _changes(config.augment, usual, image_changes.Config, image_changes.augment)
    return Prepared(
        reader,
        X,
        left_out,
        changes,
        augment,
        ("conv", {"n_channels": reader.n_channels, "image_size": reader.side}),
        IMAGES,
    )


def of_sounds(items: Any, config: Config) -> Prepared:
    """A pool of recordings."""
    reader = sounds.TELLING
    if config.sample_rate is not None:
        reader = dataclasses.replace(reader, sample_rate=config.sample_rate)
    X, _, left_out = sounds.read(reader, items, needs_rate=config.sample_rate is None)
    changes, augment = _changes(config.augment, sound_changes.SPEECH, sound_changes.Config, sound_changes.augment)
    return Prepared(reader, X, left_out, changes, augment, ("frames", {"n_mels": reader.n_mels}), SOUNDS)


def of_texts(items: Any, config: Config) -> Prepared:
    """A pool of texts, each with copies in which words are left out; empty ones are left out of the pool."""
    check_texts("the pool", items)
    left_out = [LeftOut(place, f"text {place}", "no words") for place, text in enumerate(items) if not text.strip()]
    kept = [text for text in items if text.strip()]
    reader = config.vectorizer or texts.learn(kept, texts.Config(n_features=WIDTH), config.seed)
    words = config.augment if isinstance(config.augment, text_changes.Config) else text_changes.SENTENCES
    generator = generator_of(config.seed, "words")
    copies = [kept, *(text_changes.changed(generator, kept, words) for _ in range(COPIES))]
    X = torch.stack([texts.vectors(reader, part) for part in copies], 1)
    given = None if isinstance(config.augment, text_changes.Config) else config.augment
    _, augment = _changes(given, vector_changes.Config(), vector_changes.Config, vector_changes.augment)
    changes = words if given is None else given
    net = ("mlp", {"n_inputs": X.shape[2]})
    return Prepared(reader, X, left_out, changes, augment, net, ENCODED if config.vectorizer else TEXTS)


def of_vectors(items: Any, config: Config) -> Prepared:
    """A pool of rows of numbers."""
    reader = vectors.learn(items)
    X, _, left_out = vectors.read(reader, items)
    changes, augment = _changes(config.augment, vector_changes.TABLE, vector_changes.Config, vector_changes.augment)
    return Prepared(reader, X, left_out, changes, augment, ("mlp", {"n_inputs": X.shape[1]}), TEXTS)


READ: dict[str, Callable[[Any, Config], Prepared]] = {
    "images": of_images,
    "sounds": of_sounds,
    "texts": of_texts,
    "vectors": of_vectors,
}


def _changes(given: Any, usual: Any, kind: type, apply: Callable[..., Tensor]) -> tuple[Any, Augment]:
    """The settings of the changes and the changes: the usual ones, those given, or a function of one's own."""
    if given is None or isinstance(given, kind):
        changes = usual if given is None else given
        return changes, partial(apply, config=changes)
    if callable(given):
        return given, given
    raise TypeError(
        f"augment={given!r} should be a {kind.__module__}.Config, or a function (generator, tensor) -> tensor"
    )
