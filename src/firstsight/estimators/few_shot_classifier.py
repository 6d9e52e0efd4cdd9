"""Classes from one to five examples each, in an embedding learned without labels."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor, nn

from firstsight.checks import check_choice, check_flag, check_number
from firstsight.engine.execute import torch_threads
from firstsight.estimators.tables import check_resources, drawn_seed, prior_of
from firstsight.few_shot import classify
from firstsight.few_shot.calibrate import log_shares, unknown_odds
from firstsight.few_shot.embedding import Embedding
from firstsight.inputs.kinds import listed
from firstsight.pretrained import omniglot
from firstsight.selection.geometry import Floats

PRETRAINED: dict[str, Callable[[], Embedding]] = {"omniglot": omniglot}
AUTO = "auto"
SETTINGS = "settings.json"


class FewShotClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Recognise classes from one to five examples each.

    An encoder is trained on an unlabelled pool so that changed copies of a thing, and things that are mutually
    nearest, lie together. How far changed copies scatter says, without labels, how far things of one class do; a
    two-covariance model of both weighs the shots of each class.

    Parameters
    ----------
    encoder : "auto" or nn.Module
        A net for the kind of thing, or one's own: from the tensors that the kind is read into, (n, channels, height,
        width) for images and sounds and (n, n_features) for the others, to features (n, n_features). It is copied.
    method : {"auto", "neighbours", "contrast"}
        What draws things together while learning from the pool: changed copies and mutual neighbours, or changed
        copies alone. ``"auto"`` is the first.
    kind : {"auto", "images", "sounds", "texts", "vectors"}
        What the things are; told from their types, shapes and file names if ``"auto"``.
    steps : int or None
        Training steps, >= 1; by the size of the pool if None.
    image_size : int
        Pixels of a side that images are scaled to.
    sample_rate : int or None
        Samples a second of sounds given as arrays, in hertz; what files are resampled to (8,000 if None).
    vectorizer : callable or None
        Texts to vectors, such as the ``encode`` of a sentence-transformers model; TF-IDF learned on the pool if None.
    augment : Any
        Changes that leave a thing what it is: settings of the kind's module in ``firstsight.augment``, or a function
        (generator, tensor) -> tensor; what suits the kind if None.
    n_components : int
        Coordinates that :meth:`transform` gives, >= 1: those along which classes differ most. Few are better for
        clusters and maps, many to tell near classes apart; the classifier itself uses all.
    transductive : bool
        Whether the rows that are asked about, all together, move the classes: better where they hold many of each
        class, and no longer an answer to each row by itself.
    prior : Embedding, path or None
        What :meth:`meta_fit` learned, or the folder of a saved one. Without one the vectors themselves are compared.
    n_jobs : int or None
        Threads; those of the machine if None. A training goes on from a checkpoint only with as many.
    random_state : int, RandomState or None
        Of the training.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_features_in_, feature_names_in_
        Of vectors, as scikit-learn has them.

    Notes
    -----
    No label, number of classes or balance of classes is used by :meth:`meta_fit`. Things of the pool that cannot be
    read are left out with a warning and listed in ``prior.left_out``; in :meth:`fit` and :meth:`predict` they are
    errors. An answer depends on the thing, the shots and the prior alone, unless ``transductive``.

    Examples
    --------
    >>> from firstsight import datasets, FewShotClassifier
    >>> digits = datasets.load_digits()
    >>> shots = [int((digits.y == digit).argmax()) for digit in range(10)]
    >>> model = FewShotClassifier.pretrained("omniglot").fit(digits.X[shots], digits.y[shots])
    >>> bool(model.score(digits.X, digits.y) > 0.5)  # from one example of each digit
    True

    """

    def __init__(
        self,
        encoder: Any = AUTO,
        method: str = AUTO,
        *,
        kind: str = AUTO,
        steps: int | None = None,
        image_size: int = 28,
        sample_rate: int | None = None,
        vectorizer: Any = None,
        augment: Any = None,
        n_components: int = 32,
        transductive: bool = False,
        prior: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.encoder = encoder
        self.method = method
        self.kind = kind
        self.steps = steps
        self.image_size = image_size
        self.sample_rate = sample_rate
        self.vectorizer = vectorizer
        self.augment = augment
        self.n_components = n_components
        self.transductive = transductive
        self.prior = prior
        self.n_jobs = n_jobs
        self.random_state = random_state

    def meta_fit(self, pool: Any, *, directory: Path | str | None = None) -> "FewShotClassifier":
        """Learn an embedding from a pool without labels.

        Parameters
        ----------
        pool : array, list or folder
            Images of shape (n, height, width), (n, height, width, channels) or (n, channels, height, width), or a list
            of arrays; vectors of shape (n, n_features); waveforms as a list of arrays; strings; names of files, or a
            folder of them. At least 16.
        directory : path, optional
            Where a checkpoint is kept; a training that was stopped goes on from there, to the bit.

        Returns
        -------
        FewShotClassifier
            A new one with the same parameters, whose ``prior`` has learned.

        Raises
        ------
        TypeError, ValueError
            When a parameter or the pool is not as described, or fewer than 16 things can be read.
        ImportError
            For sounds, without librosa.

        """
        from firstsight.few_shot.learn import learn  # training is not needed to recognise
        from firstsight.few_shot.prepare import Config

        encoder = self._own_encoder()
        check_choice("method", self.method, (AUTO, "neighbours", "contrast"))
        check_resources(None, self.n_jobs)
        if directory is not None and self.random_state is None:
            raise ValueError("random_state=None should be a number with a directory: what goes on needs the same draws")
        config = Config(
            kind=self.kind,
            method="neighbours" if self.method == AUTO else self.method,
            steps=self.steps,
            image_size=self.image_size,
            sample_rate=self.sample_rate,
            vectorizer=self.vectorizer,
            augment=self.augment,
            seed=drawn_seed(self.random_state),
        )
        with _torch_threads(self.n_jobs):
            embedding = learn(pool, config, encoder=encoder, directory=directory)
        return type(self)(**(self.get_params(deep=False) | {"prior": embedding}))

    def fit(self, X: Any, y: Any) -> Self:
        """Learn classes from their shots.

        Parameters
        ----------
        X : array, list or folder
            Things as the prior knows them; without a prior, vectors of shape (n_shots, n_features).
        y : array of shape (n_shots,)
            Class labels: numbers or strings, as many of each class as there are. One class alone is possible.

        Returns
        -------
        FewShotClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            When a parameter or the shots are not as described, or one cannot be read.

        """
        check_flag("transductive", self.transductive)
        check_number("n_components", self.n_components, at_least=1, integer=True)
        check_resources(None, self.n_jobs)
        embedding = None if self.prior is None else prior_of(self.prior, Embedding, _no_prior)
        if y is None:
            raise ValueError(
                "FewShotClassifier.fit requires y to be passed, but the target y is None; pass the classes"
            )
        X = self._checked(X, embedding, reset=True)
        y = column_or_1d(y, warn=True)
        if y.dtype == object and any(label is None or label is pd.NA or label != label for label in y.tolist()):
            raise ValueError("y should hold no missing labels; found some; leave those shots out")
        if len(y) != len(X):
            raise ValueError(
                f"X has {len(X)} things and y {len(y)} labels, should be as many; found inconsistent numbers"
            )
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        numbered = torch.from_numpy(numbers)
        with _torch_threads(self.n_jobs):
            if embedding is None:
                self._fitted = classify.by_vectors(torch.tensor(X), numbered)
            else:
                self._fitted = classify.by_embedding(embedding, classify.embedded(embedding, X), numbered)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each thing, (n,)."""
        likeliest = self._densities(X)[:, :-1].argmax(1).numpy()
        return np.asarray(self.classes_[likeliest])

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities of the classes, given that each thing is of one of them.

        Parameters
        ----------
        X : array, list or folder
            Things as in :meth:`fit`.

        Returns
        -------
        ndarray of shape (n, n_classes)
            In the order of ``classes_``; equally likely before.

        """
        return np.asarray(log_shares(self._densities(X), self._fitted.calibration).exp().numpy(), np.float64)

    def predict_log_proba(self, X: Any) -> Floats:
        """Logarithms of :meth:`predict_proba`."""
        return np.asarray(log_shares(self._densities(X), self._fitted.calibration).numpy(), np.float64)

    def unknown_proba(self, X: Any, *, share: float = 0.5) -> Floats:
        """How likely each thing is of none of the classes.

        Parameters
        ----------
        X : array, list or folder
            Things as in :meth:`fit`.
        share : float
            How many are, before they are seen; above 0, below 1.

        Returns
        -------
        ndarray of shape (n,)

        """
        check_number("share", share, above=0, at_most=1)
        if share == 1:
            raise ValueError("share=1 should be < 1")
        before = float(np.log(share / (1 - share)))
        return np.asarray((unknown_odds(self._densities(X), self._fitted.calibration) + before).sigmoid().numpy())

    def transform(self, X: Any) -> Floats:
        """Where things lie: rows of length 1, for clusters, maps and nearest neighbours.

        Parameters
        ----------
        X : array, list or folder
            Things as in :meth:`fit`. With a prior, no classes need to have been fitted.

        Returns
        -------
        ndarray of shape (n, n_components)
            Fewer where the embedding has fewer.

        """
        if not hasattr(self, "classes_") and self.prior is not None:
            embedding = prior_of(self.prior, Embedding, _no_prior)
            with _torch_threads(self.n_jobs):
                places = classify.embedded(embedding, listed(X))
            return classify.leading(embedding.space, places, self.n_components)
        check_is_fitted(self)
        with _torch_threads(self.n_jobs):
            places = classify.placed(self._fitted, self._checked(X, self._fitted.embedding, reset=False))
        return classify.leading(self._fitted.space, places, self.n_components)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Names of the coordinates: ``embedding0``, ``embedding1`` and so on."""
        if hasattr(self, "classes_") or self.prior is None:
            check_is_fitted(self)
            space = self._fitted.space
        else:
            space = prior_of(self.prior, Embedding, _no_prior).space
        width = min(self.n_components, len(space.between))
        return np.array([f"embedding{place}" for place in range(width)], dtype=object)

    def save(self, folder: str | PathLike[str]) -> None:
        """Write what was learned, and the classes where some were fitted, into a folder, which is made; no pickle.

        Raises
        ------
        ValueError
            When there is nothing to write, or it holds a function of one's own (a vectorizer).

        """
        folder = Path(folder)
        fitted = getattr(self, "_fitted", None)
        if (self.prior if fitted is None else fitted.embedding) is None:
            raise ValueError("there is no prior to save; learn one with meta_fit(pool), or keep the shots themselves")
        if fitted is None:
            (folder / classify.FILE).unlink(missing_ok=True)
            prior_of(self.prior, Embedding, _no_prior).save(folder)
        else:
            classify.check_labels(self.classes_.tolist())
            classify.write(folder, fitted, self.classes_.tolist())
        settings = {"n_components": self.n_components, "transductive": self.transductive}
        (folder / SETTINGS).write_text(json.dumps(settings) + "\n")

    @classmethod
    def load(
        cls, folder: str | PathLike[str], *, encoder: nn.Module | None = None, vectorizer: Any = None
    ) -> "FewShotClassifier":
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder : path
            Of the saved classifier.
        encoder : nn.Module, optional
            One like the own module it was learned with, if it was.
        vectorizer : callable, optional
            The same as it was learned with, if it was.

        """
        embedding = Embedding.load(folder, encoder=encoder, vectorizer=vectorizer)
        settings = Path(folder) / SETTINGS
        model = cls(prior=embedding, **(json.loads(settings.read_text()) if settings.is_file() else {}))
        if (found := classify.read(Path(folder), embedding)) is not None:
            model._fitted, labels = found
            model.classes_ = np.array(labels)
            if embedding.kind == "vectors":
                model.n_features_in_ = len(embedding.reader.mean)
        return model

    @classmethod
    def pretrained(cls, name: str = "omniglot") -> "FewShotClassifier":
        """A classifier whose prior comes with the package.

        Parameters
        ----------
        name : {"omniglot"}
            Handwritten characters: learned from the unlabelled drawings of 1,028 characters of Omniglot.

        """
        check_choice("name", name, tuple(PRETRAINED))
        return cls(prior=PRETRAINED[name]())

    def _own_encoder(self) -> nn.Module | None:
        if isinstance(self.encoder, nn.Module):
            return self.encoder
        if not isinstance(self.encoder, str) or self.encoder != AUTO:
            raise TypeError(f"encoder={self.encoder!r} should be 'auto' or a torch.nn.Module")
        return None

    def _checked(self, X: Any, embedding: Embedding | None, *, reset: bool) -> Any:
        """Things as a list or an array; vectors checked as scikit-learn does."""
        if embedding is None or embedding.kind == "vectors":
            if isinstance(X, Tensor):
                X = listed(X)
            if embedding is None and getattr(X, "ndim", 2) > 2:
                raise ValueError(
                    f"Found array with dim {X.ndim}: without a prior X should have shape (n_rows, n_features); learn "
                    "one with meta_fit(pool), or take FewShotClassifier.pretrained('omniglot')"
                )
            X = validate_data(self, X, reset=reset, dtype=np.float64)
            if embedding is not None and X.shape[1] != len(embedding.reader.mean):
                raise ValueError(
                    f"X has {X.shape[1]} features, the pool had {len(embedding.reader.mean)}; pass the same"
                )
            return X
        return listed(X)

    def _densities(self, X: Any) -> Tensor:
        check_is_fitted(self)
        X = self._checked(X, self._fitted.embedding, reset=False)
        with _torch_threads(self.n_jobs):
            return classify.densities(self._fitted, X, transductive=self.transductive)


def _no_prior() -> Embedding:
    raise ValueError("prior=None has nothing to read")


def _torch_threads(n_jobs: int | None) -> Any:
    return nullcontext() if n_jobs is None else torch_threads(n_jobs)
