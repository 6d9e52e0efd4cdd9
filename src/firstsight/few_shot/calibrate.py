"""How sure to be: densities of the two-covariance model turned into probabilities, by pseudo-tasks from the pool.

Coordinates are not independent, so log densities are multiplied by a scale before they become shares of classes; and
the log odds of being of no class at hand, under the scaled model, go through a line. Both are fitted to tasks whose
classes are mutual nearest neighbours in the pool, one the shot and the other the query. Such pairs are more alike than
two rows of a class; how much surer than on true classes that makes the fit was measured once, on the validation
characters of Omniglot, and is put right by three constants.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from firstsight.few_shot import two_covariances
from firstsight.few_shot.two_covariances import Space
from firstsight.tasks.neighbours import mutual, nearest

LESS_SURE = 0.65  # of the scale that suits pseudo-tasks
LESS_STEEP = 0.68  # of the slope
FARTHER = 1.5  # from the point where a class at hand and none are even
SCALES = tuple(0.01 * 1.25**step for step in range(21))  # .01 to .87
LEAST_FAR = 0.05  # of what is said on pseudo-tasks, of classes that can hardly be told apart
SUREST = 7.0  # log odds: nothing is known better than to one in a thousand
WAYS = (5, 10, 20)
TASKS = 200
NEIGHBOURS = 3
FEWEST_PAIRS = 20
ROUNDS = 100  # of Newton's method, which needs about ten


class Calibration(NamedTuple):
    """What makes probabilities of log densities.

    Parameters
    ----------
    scale : float
        Of log densities, > 0.
    slope, offset : float
        Log odds of being of no class at hand = slope * (what the scaled model says) + offset, at even odds before.
    far : float
        What the scaled model says of things of no class at hand, on average over the pseudo-tasks, > 0.

    """

    scale: float = 0.1
    slope: float = 0.8
    offset: float = -4.0
    far: float = 15.0


def log_shares(densities: Tensor, calibration: Calibration) -> Tensor:
    """Log probabilities of classes (n_rows, n_classes) from log densities (n_rows, n_classes + 1)."""
    return functional.log_softmax(calibration.scale * densities[:, :-1], dim=1)


def unknown_odds(densities: Tensor, calibration: Calibration) -> Tensor:
    """Log odds (n_rows,) that a row is of no class at hand, at even odds before it was seen."""
    odds = calibration.slope * _evidence(densities, calibration.scale) + calibration.offset
    return odds.clamp(-SUREST, SUREST)


def calibrate(generator: torch.Generator, space: Space, coordinates: Tensor, changed: Tensor) -> Calibration:
    """Fit a calibration to a pool.

    Parameters
    ----------
    generator : torch.Generator
        Draws the tasks.
    space : Space
        Of the pool.
    coordinates, changed : Tensor of shape (n_rows, n_coordinates)
        Placed rows, and changed copies of them, which take the place of neighbours where there are too few.

    """
    known, left = [], []
    shots, queries = _pairs(generator, space, coordinates, changed)
    ways = [way for way in WAYS if 2 * way <= len(shots)] or [max(1, len(shots) // 2)]
    for way in ways:
        for _ in range(TASKS):
            chosen = torch.randperm(len(shots), generator=generator)[: 2 * way]
            learned = two_covariances.shots_of(space, shots[chosen[:way]], torch.arange(way), way)
            densities = two_covariances.log_densities(space, learned, queries[chosen])
            known.append(densities[:way])
            left.append(densities[way:])
    losses = [
        sum(float(functional.cross_entropy(scale * part[:, :-1], torch.arange(len(part)))) for part in known)
        for scale in SCALES
    ]
    scale = LESS_SURE * SCALES[losses.index(min(losses))]
    evidence = [torch.cat([_evidence(part, scale) for part in parts]) for parts in (known, left)]
    slope, offset = _line(*evidence)
    # The line crosses zero farther out, and less steeply, than on pseudo-tasks.
    even = FARTHER * max(-offset / slope, 0.0)
    far = max(float(evidence[1].mean()), 1e-6)
    return Calibration(scale, LESS_STEEP * slope, -LESS_STEEP * slope * even, far)


def suited(calibration: Calibration, space: Space, places: Tensor, y: Tensor) -> Calibration:
    """The calibration for classes that lie nearer together than those of the pool do.

    The shots of each class are asked about as if their class were not at hand. Where that says less than it did on the
    pool's pseudo-tasks, as for characters of another kind, everything that is said of unknown things is stretched.

    Parameters
    ----------
    calibration : Calibration
        Of the pool.
    space : Space
        Of the pool.
    places : Tensor of shape (n_shots, n_coordinates)
        Placed shots.
    y : Tensor of shape (n_shots,)
        Class numbers from 0; of fewer than three classes nothing is learned.

    """
    n_classes = int(y.max()) + 1
    if n_classes < 3:
        return calibration
    found = []
    for left in range(n_classes):
        rest = y != left
        known = torch.where(y > left, y - 1, y)[rest]
        shots = two_covariances.shots_of(space, places[rest], known, n_classes - 1)
        found.append(_evidence(two_covariances.log_densities(space, shots, places[~rest]), calibration.scale).mean())
    stretch = float(torch.stack(found).mean().clamp(min=LEAST_FAR * calibration.far)) / calibration.far
    return calibration if stretch >= 1 else calibration._replace(slope=calibration.slope / stretch)


def _evidence(densities: Tensor, scale: float) -> Tensor:
    """How much likelier no class at hand makes each row than their mixture does, in nats."""
    scaled = scale * densities.double()
    way = densities.shape[1] - 1
    return scaled[:, -1] - scaled[:, :-1].logsumexp(1) + torch.log(torch.tensor(float(way), dtype=torch.float64))


def _pairs(generator: torch.Generator, space: Space, coordinates: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
    unit = two_covariances.unit(space, coordinates)
    wanted = min(NEIGHBOURS, len(unit) - 1)
    partners = mutual(nearest(generator, unit, n_neighbours=wanted, n_cells=max(1, len(unit) // 5000)))[:, 0]
    rows = (partners >= 0).nonzero().flatten()
    if len(rows) < FEWEST_PAIRS:
        return coordinates, changed
    return coordinates[rows], coordinates[partners[rows]]


def _line(known: Tensor, left: Tensor) -> tuple[float, float]:
    """Slope and offset of a logistic regression with both sides of even weight; a little ridge keeps it finite."""
    values = torch.cat([known, left])
    deviation = values.std().clamp(min=1e-6)
    inputs = torch.stack([(values - values.mean()) / deviation, torch.ones_like(values)], 1)
    truth = torch.cat([torch.zeros_like(known), torch.ones_like(left)])
    weight = torch.cat([torch.full_like(known, 0.5 / len(known)), torch.full_like(left, 0.5 / len(left))])
    ridge = 1e-3 * torch.tensor([1.0, 0.0], dtype=values.dtype)
    line = torch.zeros(2, dtype=values.dtype)
    for _ in range(ROUNDS):
        share = (inputs @ line).sigmoid()
        slope = inputs.T @ (weight * (share - truth)) + ridge * line
        curve = (inputs * (weight * share * (1 - share))[:, None]).T @ inputs + torch.diag(ridge + 1e-9)
        step = torch.linalg.solve(curve, slope)
        line = line - step.clamp(-1, 1)
        if step.abs().max() < 1e-8:
            break
    slope_of_values = float(line[0] / deviation)
    if slope_of_values <= 0:
        return 1.0, 0.0  # the pool tells nothing of it: the model's own odds
    return slope_of_values, float(line[1] - line[0] * values.mean() / deviation)
