"""What was learned from a family of tables, as estimators hold it: immutable, and saved without pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from firstsight.density.cells import Cells
from firstsight.density.incomplete import Floats
from firstsight.density.mixture import log_density as mixture_log_density
from firstsight.density.stack import Density, fitted, log_density, stacked
from firstsight.density.warps import warped
from firstsight.priors import store
from firstsight.priors.familiarity import FOREIGN, familiarity_of
from firstsight.priors.learn import Learned
from firstsight.priors.members import Encoded, adapted, space_of_rows
from firstsight.priors.profiles import Profiles
from firstsight.priors.weights import weights_at

__all__ = ["Answer", "Prior"]

FILE = "prior.safetensors"
LEAST_WEIGHT = 0.005
OWN_ROWS = 100  # from which on a table's own rows say how far to lean on the past
OWN_FOLDS = 3
FEWEST_ROWS = 8  # that tell whether the past helps
HAIR = 1e-3  # deviations of the family by which values are spread in a column that does not vary


class Answer(NamedTuple):
    """What a prior makes of a table.

    Parameters
    ----------
    density : Density or None
        Of the table; None where it looks foreign and the past does not help.
    familiarity : float
        Share of the family's own tables that look as unlike it.
    weight : float
        Of the past in the density, from 0 to 1; the rest was learned from the table alone.

    """

    density: Density | None
    familiarity: float
    weight: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Prior:
    """What was learned from the past tables of a family.

    Parameters
    ----------
    cells : Cells
        What every column is.
    learned : Learned
        Members, their weights, and how unlike each other the tables are.
    profiles : Profiles
        Columns of the past tables.
    names : tuple of str
        Of the past tables, in their order.
    parts : dict
        What single estimators add, by name.
    seed : int
        Of what is random in its answers.

    """

    cells: Cells
    learned: Learned
    profiles: Profiles
    names: tuple[str, ...]
    parts: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __deepcopy__(self, memo: dict[int, object]) -> "Prior":
        return self  # immutable, so that scikit-learn's clone passes it on

    def __repr__(self) -> str:
        return f"Prior(n_tables={len(self.names)}, n_features={len(self.cells.columns)})"

    def answer(self, table: Encoded) -> Answer:
        """The density of a table, and how far it leans on the past.

        Parameters
        ----------
        table : Encoded
            By :attr:`cells`. The order of its rows changes nothing.

        Returns
        -------
        Answer

        """
        table = self.spread(table)
        familiarity = self.familiarity(table)
        if (familiarity < FOREIGN or self._is_doubtful(table)) and not self._helps(table):
            return Answer(None, familiarity, 0.0)
        past = self.density(table)
        if len(table.codes) < OWN_ROWS:
            return Answer(past, familiarity, 1.0)
        weight = self._weight(table)
        own = self._own(table)
        log_weights = np.concatenate([np.log(weight) + past.log_weights, np.log1p(-weight) + own.log_weights])
        return Answer(Density(log_weights, past.experts + own.experts), familiarity, weight)

    def familiarity(self, table: Encoded) -> float:
        """Share of the family's own tables that look as unlike it as a table whose rows are in an order of chance."""
        learned = self.learned
        z = warped(learned.grounds[0].warp, table.numbers)[0]
        return familiarity_of(learned.familiarity, learned.members[0], learned.grounds[0], z, table.codes)

    def spread(self, table: Encoded) -> Encoded:
        """Rows in an order of chance, and values that tie spread over their steps."""
        generator = np.random.default_rng(self.seed)
        order = generator.permutation(np.lexsort(np.column_stack([table.numbers, table.codes]).T))
        numbers = table.numbers[order]
        return Encoded(numbers + self.cells.steps * generator.uniform(-0.5, 0.5, numbers.shape), table.codes[order])

    def density(self, table: Encoded) -> Density:
        """What the members make of a table, in the shares that are worth their while for so many rows."""
        shares = weights_at(self.learned.weights, len(table.codes))
        kept = np.flatnonzero(shares > LEAST_WEIGHT)
        grounds, places = self.learned.grounds, self.learned.places
        z = {place: warped(grounds[place].warp, table.numbers)[0] for place in {places[i] for i in kept}}
        experts = tuple(adapted(self.learned.members[i], grounds[places[i]], z[places[i]], table.codes) for i in kept)
        return Density(np.log(shares[kept] / shares[kept].sum()), experts)

    def save(self, folder: str | PathLike[str]) -> None:
        """Write ``prior.safetensors`` into a folder, which is made."""
        store.write(Path(folder) / FILE, self)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> "Prior":
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError, ValueError
            When the file is missing, damaged, of another kind, or made by a later version.

        """
        return cls(**store.read(Path(folder) / FILE))

    def _is_doubtful(self, table: Encoded) -> bool:
        """A quick look: whether a Gaussian of half of the rows foretells the others better than a member."""
        if len(table.codes) < FEWEST_ROWS:
            return False
        ground, member = self.learned.grounds[0], self.learned.members[0]
        z = warped(ground.warp, table.numbers)[0]
        halves = np.arange(len(z)) % 2
        gain = 0.0
        for half in (0, 1):
            shown, asked = halves == half, halves != half
            moved = adapted(member, ground, z[shown], table.codes[shown]).mixture
            alone = space_of_rows(z[shown], table.codes[shown], self.cells.n_levels, ground).whole
            for sign, mixture in ((1, moved), (-1, alone)):
                gain += sign * float(mixture_log_density(mixture, z[asked], table.codes[asked]).sum())
        return gain < 0

    def _helps(self, table: Encoded) -> bool:
        """Whether each half of the rows is likelier by the past and the other half than by the other half alone."""
        halves = np.arange(len(table.codes)) % 2
        if len(halves) < FEWEST_ROWS:
            return False
        gain = 0.0
        for half in (0, 1):
            shown, asked = table.part(np.flatnonzero(halves == half)), table.part(np.flatnonzero(halves != half))
            with_past, alone = self.density(shown), self._own(shown, cheap=True)
            gain += float((log_density(with_past, *asked) - log_density(alone, *asked)).sum())
        return gain > 0

    def _weight(self, table: Encoded) -> float:
        """How much the past counts, by rows of the table that neither it nor the rest of the table had seen."""
        fold = np.arange(len(table.codes)) % OWN_FOLDS
        scores = np.empty((len(table.codes), 2))
        for out in range(OWN_FOLDS):
            shown, asked = table.part(np.flatnonzero(fold != out)), table.part(np.flatnonzero(fold == out))
            for column, density in enumerate((self.density(shown), self._own(shown))):
                scores[fold == out, column] = log_density(density, asked.numbers, asked.codes)
        return float(np.clip(stacked(scores)[0], 1e-6, 1 - 1e-6))

    def _own(self, table: Encoded, *, cheap: bool = False) -> Density:
        """From the table alone."""
        numbers, n_levels, steps = self._varied(table.numbers), self.cells.n_levels, self.cells.steps
        return fitted(numbers, table.codes, self.seed, n_levels=n_levels, steps=steps, cheap=cheap)

    def _varied(self, numbers: Floats) -> Floats:
        """Numbers of which every column varies, by a hair where the table's own does not."""
        warp = next((ground.warp for ground in self.learned.grounds), None)
        if warp is None or not numbers.shape[1]:
            return numbers
        generator = np.random.default_rng(self.seed)
        filled = np.where(np.isnan(numbers).all(0), warp.centres, numbers)
        still = ~(np.nanmax(filled, axis=0) > np.nanmin(filled, axis=0))
        return np.where(still, filled + HAIR * warp.scales * generator.uniform(-0.5, 0.5, numbers.shape), filled)
