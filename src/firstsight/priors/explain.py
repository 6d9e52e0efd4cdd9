"""How far an answer leans on the past, in words."""

from firstsight.priors.familiarity import FOREIGN
from firstsight.priors.prior import Prior

__all__ = ["leaning", "likeness"]


def likeness(prior: Prior, familiarity: float) -> str:
    """How like its family a table is."""
    n_tables = len(prior.names)
    alike = f"{familiarity:.0%}" if familiarity >= 0.01 else "less than 1%"
    if familiarity < FOREIGN:
        return f"The table is foreign to the {n_tables} past ones: {alike} of their family look as unlike it."
    return f"The table is of the family of {n_tables} past ones: {alike} of these look as unlike it or more."


def leaning(prior: Prior, familiarity: float, weight: float) -> str:
    """How far an answer leans on the past."""
    if weight == 0:
        return f"{likeness(prior, familiarity)} Nothing was taken from them."
    past = "all of it" if weight == 1 else f"{weight:.0%} of it"
    still = "Still its rows are likelier with them. " if familiarity < FOREIGN else ""
    return f"{likeness(prior, familiarity)} {still}What follows leans on them for {past}."
