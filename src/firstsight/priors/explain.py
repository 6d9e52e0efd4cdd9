"""How far an answer leans on the past, in words."""

from firstsight.priors.familiarity import FOREIGN
from firstsight.priors.prior import Prior

__all__ = ["leaning"]


def leaning(prior: Prior, familiarity: float, weight: float) -> str:
    """A sentence or two."""
    n_tables = len(prior.names)
    alike = f"{familiarity:.0%}" if familiarity >= 0.01 else "less than 1%"
    if familiarity < FOREIGN:
        return (
            f"The table is foreign to the {n_tables} past ones: {alike} of tables of their family look as unlike it. "
            "Nothing was taken from them."
        )
    past = "all of it" if weight == 1 else f"{weight:.0%} of it"
    return (
        f"The table is of the family of {n_tables} past ones: {alike} of these look as unlike it or more. "
        f"What follows leans on them for {past}."
    )
