"""Unsupervised learning at first sight.

firstsight learns, from many data sets, how to learn without labels, and then does it on a data set
it has never seen. Names are loaded when they are first used: importing the package imports no torch.
"""

from typing import TYPE_CHECKING

import lazy_loader

__version__ = "0.1.0"

if TYPE_CHECKING:
    from firstsight.core import Data, Learner, MetaLearner, Sample, Task
    from firstsight.engine.config import Plan, TrainConfig
    from firstsight.engine.evaluate import Interval, adapt, interval, meta_test, paired, predict
    from firstsight.engine.train import Step, draw, last, meta_train
    from firstsight.estimators.anomaly_detector import AnomalyDetector
    from firstsight.estimators.clusterer import Clusterer
    from firstsight.estimators.density_estimator import DensityEstimator
    from firstsight.estimators.embedder import Embedder
    from firstsight.estimators.few_shot_classifier import FewShotClassifier
    from firstsight.estimators.pyod_names import PyODNames
    from firstsight.overview.run import look
    from firstsight.tasks.noise import with_noise

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "core": ["Data", "Learner", "MetaLearner", "Sample", "Task"],
        "engine.config": ["Plan", "TrainConfig"],
        "engine.evaluate": ["Interval", "adapt", "interval", "meta_test", "paired", "predict"],
        "engine.train": ["Step", "draw", "last", "meta_train"],
        "estimators.anomaly_detector": ["AnomalyDetector"],
        "estimators.clusterer": ["Clusterer"],
        "estimators.density_estimator": ["DensityEstimator"],
        "estimators.embedder": ["Embedder"],
        "estimators.few_shot_classifier": ["FewShotClassifier"],
        "estimators.pyod_names": ["PyODNames"],
        "overview.run": ["look"],
        "tasks.noise": ["with_noise"],
    },
)
