"""What is learned from a pool and used ever after: how to read a thing, to embed it, and to judge its distances."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from firstsight import __version__
from firstsight.checks import check_choice
from firstsight.engine.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from firstsight.few_shot.calibrate import Calibration
from firstsight.few_shot.two_covariances import Space, placed
from firstsight.inputs import images, sounds, texts, vectors
from firstsight.inputs.kinds import KINDS, LeftOut
from firstsight.nets.encoder import Encoder, VectorEncoder
from firstsight.nets.frames import FrameEncoder
from firstsight.pools.neighbours import embed

FILE = "embedding.safetensors"
INPUTS: dict[str, ModuleType] = {"images": images, "sounds": sounds, "texts": texts, "vectors": vectors}
NETS: dict[str, type[nn.Module]] = {"conv": Encoder, "frames": FrameEncoder, "mlp": VectorEncoder}


@dataclass(frozen=True, eq=False, kw_only=True)
class Embedding:
    """An embedding of one kind of thing; immutable.

    Parameters
    ----------
    kind : {"images", "sounds", "texts", "vectors"}
        What it embeds.
    reader : Any
        How a thing becomes a tensor; of the module of that name in :mod:`firstsight.inputs`.
    encoder : nn.Module
        Tensors to features, in evaluation mode.
    net : (str, dict) or None
        Name and settings that the encoder is built with; None for a module of the user's own.
    space : Space
        Features to coordinates.
    calibration : Calibration
        Densities to probabilities.
    left_out : tuple of LeftOut
        What of the pool could not be read.
    about : dict
        What it was learned from, and how; JSON.

    """

    kind: str
    reader: Any
    encoder: nn.Module
    net: tuple[str, dict[str, Any]] | None
    space: Space
    calibration: Calibration
    left_out: tuple[LeftOut, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        self.encoder.eval().requires_grad_(False)

    def __deepcopy__(self, memo: dict[int, object]) -> "Embedding":
        return self  # immutable, so that scikit-learn's clone passes it on

    def __repr__(self) -> str:
        return f"Embedding(kind={self.kind!r}, n_coordinates={len(self.space.between)})"

    def coordinates(self, items: Any) -> tuple[Tensor, NDArray[np.int64], list[LeftOut]]:
        """Coordinates of things, which thing each row is, and what could not be read.

        Parameters
        ----------
        items : array or list
            Things of the kind, as :func:`firstsight.inputs.kinds.listed` gives them.

        Returns
        -------
        coordinates : Tensor of shape (n_read, n_coordinates)
        places : ndarray of shape (n_read,)
        left_out : list of LeftOut

        """
        X, places, left_out = INPUTS[self.kind].read(self.reader, items)
        if not len(X):
            return torch.empty(0, len(self.space.between)), places, left_out
        return placed(self.space, embed(self.encoder, X).float()), places, left_out

    def save(self, folder: str | PathLike[str]) -> None:
        """Write ``embedding.safetensors`` into a folder, which is made.

        A module of one's own is written as its weights, a function that makes vectors of texts not at all: both are
        given to :meth:`load`.

        """
        tensors, facts = INPUTS[self.kind].pack(self.reader)
        stored = {f"reader.{name}": value for name, value in tensors.items()}
        stored |= {f"space.{name}": value for name, value in self.space._asdict().items()}
        stored |= {f"encoder.{name}": value for name, value in self.encoder.state_dict().items()}
        told = {
            "kind": "embedding",
            "version": __version__,
            "of": self.kind,
            "reader": facts,
            "net": self.net,
            "calibration": self.calibration._asdict(),
            "left_out": [list(thing) for thing in self.left_out],
            "about": dict(self.about),
        }
        write_checkpoint(Path(folder) / FILE, stored, told)

    @classmethod
    def load(
        cls, folder: str | PathLike[str], *, encoder: nn.Module | None = None, vectorizer: Any = None
    ) -> "Embedding":
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder : path
            Of the saved embedding.
        encoder : nn.Module, optional
            Where a module of one's own was used: one like it, whose weights are put in place; a copy is.
        vectorizer : callable, optional
            Where a function of one's own made vectors of texts: the same.

        Raises
        ------
        FileNotFoundError, ValueError
            When the file is missing, damaged, or of another kind, or an encoder or a vectorizer is needed
            and not given.

        """
        path = Path(folder) / FILE
        tensors, facts = read_checkpoint(path)
        if facts.get("kind") != "embedding":
            raise CheckpointError(f"{path} holds no embedding; pass the folder that save() wrote")
        if encoder is None:
            if facts["net"] is None:
                raise ValueError(f"{path} was learned by a module of one's own; pass encoder=, one like it")
            name, settings = facts["net"]
            encoder = NETS[name](**{key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()})
        encoder = copy.deepcopy(encoder)
        weights = _below(tensors, "encoder.")
        try:
            encoder.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"{path} belongs to another encoder; {str(error).splitlines()[-1].strip()}") from None
        reader = INPUTS[facts["of"]].unpack(_below(tensors, "reader."), facts["reader"])
        if reader is None:
            if vectorizer is None:
                raise ValueError(f"{path} was learned with a vectorizer of one's own; pass vectorizer=, the same")
            reader = vectorizer
        return cls(
            kind=facts["of"],
            reader=reader,
            encoder=encoder,
            net=None if facts["net"] is None else (facts["net"][0], facts["net"][1]),
            space=Space(**_below(tensors, "space.")),
            calibration=Calibration(**facts["calibration"]),
            left_out=tuple(LeftOut(*thing) for thing in facts["left_out"]),
            about=facts["about"],
        )


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
