"""Tables whose clusters are known, of many kinds, to train and test judges of clusterings on."""

from firstsight.tasks.synthetic.mix import Config, Truth, sample

__all__ = ["Config", "Truth", "sample"]
