"""Tables whose anomalies are known, of many kinds, to train and test detectors that see them unlabelled."""

from firstsight.tasks.contaminated.mix import Config, Contaminated, sample

__all__ = ["Config", "Contaminated", "sample"]
