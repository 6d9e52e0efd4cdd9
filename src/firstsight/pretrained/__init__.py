"""What was meta-trained and comes with the package: weights, each with a card that says from what and how well."""

from functools import cache
from pathlib import Path

from firstsight.few_shot.embedding import Embedding
from firstsight.selection.anomalies.reader import Reader
from firstsight.selection.judge import Judge
from firstsight.selection.maps.weighing import Weighing

FOLDER = Path(__file__).parent


@cache
def clusterer() -> Judge:
    """The judge of :class:`firstsight.Clusterer`."""
    return Judge.load(FOLDER / "clusterer")


@cache
def detector() -> Reader:
    """The reader of :class:`firstsight.AnomalyDetector`."""
    return Reader.load(FOLDER / "detector")


@cache
def embedder() -> Weighing:
    """How :class:`firstsight.Embedder` weighs what maps keep."""
    return Weighing.load(FOLDER / "embedder")


@cache
def omniglot() -> Embedding:
    """Handwritten characters, for :meth:`firstsight.FewShotClassifier.pretrained`."""
    return Embedding.load(FOLDER / "omniglot")
