"""Classes fitted to their shots, and what they say of other things; pure functions under the estimator."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight.checks import check_number
from firstsight.engine.checkpoint import read_checkpoint, write_checkpoint
from firstsight.few_shot import plain, two_covariances
from firstsight.few_shot.calibrate import Calibration, suited
from firstsight.few_shot.embedding import Embedding
from firstsight.few_shot.refine import refined
from firstsight.few_shot.two_covariances import Shots, Space

FILE = "shots.safetensors"


class Fitted(NamedTuple):
    """Classes and what is known of them.

    Parameters
    ----------
    embedding : Embedding or None
        What things are embedded by; None for vectors as they are.
    space : Space
        Where they lie.
    calibration : Calibration
        How sure to be.
    places : Tensor of shape (n_shots, n_coordinates)
        Of the shots.
    classes : Tensor of shape (n_shots,)
        Class numbers from 0.
    shots : Shots
        What they tell of each class.

    """

    embedding: Embedding | None
    space: Space
    calibration: Calibration
    places: Tensor
    classes: Tensor
    shots: Shots


def embedded(embedding: Embedding, items: Any) -> Tensor:
    """Coordinates of things (n, n_coordinates), all of which should be readable.

    Raises
    ------
    ValueError
        When one is not; the message names the first.

    """
    places, _, left_out = embedding.coordinates(items)
    if left_out:
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        raise ValueError(f"{left_out[0].name} cannot be read{more}: {left_out[0].why}; leave it out, or mend it")
    return places


def by_embedding(embedding: Embedding, places: Tensor, classes: Tensor) -> Fitted:
    """Classes of placed shots."""
    space, n_classes = embedding.space, int(classes.max()) + 1
    calibration = suited(embedding.calibration, space, places, classes)
    shots = two_covariances.shots_of(space, places, classes, n_classes)
    return Fitted(embedding, space, calibration, places, classes, shots)


def by_vectors(X: Tensor, classes: Tensor) -> Fitted:
    """Classes of vectors, where no pool was learned from."""
    space, calibration = plain.learn(X, classes)
    places = two_covariances.placed(space, X)
    shots = two_covariances.shots_of(space, places, classes, int(classes.max()) + 1)
    return Fitted(None, space, calibration, places, classes, shots)


def placed(fitted: Fitted, items: Any) -> Tensor:
    """Coordinates of things, or of vectors."""
    if fitted.embedding is None:
        return two_covariances.placed(fitted.space, torch.tensor(items))
    return embedded(fitted.embedding, items)


def leading(space: Space, places: Tensor, n_components: int) -> NDArray[np.float64]:
    """The leading coordinates of placed things, rows of length 1; for clusters and maps."""
    check_number("n_components", n_components, at_least=1, integer=True)
    return np.asarray(two_covariances.unit(space, places, n_components).numpy(), np.float64)


def densities(fitted: Fitted, items: Any, *, transductive: bool) -> Tensor:
    """Log densities of things under each class and, in the last column, under none; (n, n_classes + 1)."""
    places, shots = placed(fitted, items), fitted.shots
    if transductive:
        shots = refined(fitted.space, shots, fitted.places, fitted.classes, places, fitted.calibration)
    return two_covariances.log_densities(fitted.space, shots, places).double()


def write(folder: Path, fitted: Fitted, labels: list[Any]) -> None:
    """Write the embedding and the shots, with what their classes are called."""
    assert fitted.embedding is not None
    (folder / FILE).unlink(missing_ok=True)  # never the shots of one embedding beside another
    fitted.embedding.save(folder)
    stored = {"places": fitted.places, "classes": fitted.classes}
    write_checkpoint(folder / FILE, stored, {"kind": "shots", "labels": labels})


def check_labels(labels: list[Any]) -> None:
    """Refuse labels that JSON cannot say."""
    if not all(isinstance(label, str | int | float | bool) for label in labels):
        raise ValueError(f"labels should be strings or numbers to be saved; found {labels[0]!r}; convert them")


def read(folder: Path, embedding: Embedding) -> tuple[Fitted, list[Any]] | None:
    """What :func:`write` wrote, or None where nothing was."""
    if not (folder / FILE).is_file():
        return None
    tensors, facts = read_checkpoint(folder / FILE)
    return by_embedding(embedding, tensors["places"], tensors["classes"]), facts["labels"]
