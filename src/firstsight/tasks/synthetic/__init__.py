"""Tables whose clusters are known, of many kinds, to train and test judges of clusterings on."""

from firstsight.tasks.synthetic.mix import Config, Truth, sample
from firstsight.tasks.synthetic.mixed import Mixed, sample_mixed

__all__ = ["Config", "Mixed", "Truth", "sample", "sample_mixed"]
