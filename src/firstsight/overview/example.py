"""A real table to look at where none is given."""

import pandas as pd
from sklearn.datasets import load_wine

__all__ = ["wines"]


def wines() -> pd.DataFrame:
    """178 wines by 13 measurements of their chemistry (Forina et al. 1991, UCI; comes with scikit-learn)."""
    table = load_wine(as_frame=True).data
    return pd.DataFrame(table.rename(columns=lambda name: str(name).replace("_", " ")))
