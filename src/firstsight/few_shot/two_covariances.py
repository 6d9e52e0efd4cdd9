"""The two-covariance model: how rows of one class scatter, and how classes do, without knowing a single class.

Also called probabilistic linear discriminant analysis (Ioffe 2006; Bruemmer and de Villiers 2010):

    x = m_k + e,    m_k ~ N(0, B),    e ~ N(0, W),

for rows x of class k. Of n shots with mean s the class is m_k ~ N(B (B + W/n)^-1 s, (B^-1 + n W^-1)^-1), a query is
judged by its density under each class's N(m_k, V_k + W), and one of no class at hand by N(0, B + W). In coordinates
in which W is the identity and B diagonal, all this is elementwise.

Differs from the papers, which know classes: W is the scatter of rows against *changed copies of themselves*, or against
their mutual nearest neighbours, so that no label is used. B is what remains of the pool's covariance beside the
scatter of copies; neighbours scatter more than a class does, so that beside theirs B is the whole covariance.
Rows are centred and, for copies, of length 1 before (Garcia-Romero and Espy-Wilson 2011), and their coordinates of the
length that the model expects, which makes them nearer to Gaussian.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from firstsight.tensor_checks import check_finite, check_rows

RIDGE = 0.3  # share of the mean variance that is added to every direction of W
LEAST = 1e-3  # of B, in units of W


class Space(NamedTuple):
    """Where rows of one class scatter evenly.

    Parameters
    ----------
    centre : Tensor of shape (n_features,)
        Mean of the pool.
    matrix : Tensor of shape (n_features, n_coordinates)
        Centred rows to coordinates in which W is the identity and B diagonal, widest first.
    between : Tensor of shape (n_coordinates,)
        The diagonal of B, > 0.
    sphere : Tensor of shape ()
        True where centred rows are brought to length 1.
    length : Tensor of shape ()
        To which coordinates are brought; 0 where they keep their own.
    level : Tensor of shape ()
        True where class means, too, are brought to the length expected of them.

    """

    centre: Tensor
    matrix: Tensor
    between: Tensor
    sphere: Tensor
    length: Tensor
    level: Tensor


class Shots(NamedTuple):
    """What is known of each class from its shots.

    Parameters
    ----------
    mean : Tensor of shape (n_classes, n_coordinates)
        Of m_k.
    variance : Tensor of shape (n_classes, n_coordinates)
        Of m_k.

    """

    mean: Tensor
    variance: Tensor


def learn(embedded: Tensor, first: Tensor, second: Tensor, *, copies: bool) -> Space:
    """The space of a pool.

    Parameters
    ----------
    embedded : Tensor of shape (n_rows, n_features)
        Rows of the pool, at least two.
    first, second : Tensor of shape (n_pairs, n_features)
        Embedded things that are probably of one class.
    copies : bool
        Whether those of second are changed copies of those of first, or their neighbours.

    Raises
    ------
    TypeError, ValueError
        When they are not rows of finite numbers, or not as many in both, or all rows of the pool are equal.

    """
    for name, rows in (("embedded", embedded), ("first", first), ("second", second)):
        check_rows(name, rows, at_least=2 if name == "embedded" else 1)
        check_finite(name, rows)
    if first.shape != second.shape or first.shape[1] != embedded.shape[1]:
        raise ValueError(
            f"second has shape {tuple(second.shape)}, should have {tuple(first.shape)}, a partner for each row of first"
        )
    centre = embedded.double().mean(0)
    rows, one, other = (part.double() - centre for part in (embedded, first, second))
    if copies:
        rows, one, other = (functional.normalize(part, dim=1) for part in (rows, one, other))
    total = rows.T @ rows / (len(rows) - 1)
    if not total.diagonal().sum() > 0:
        raise ValueError("rows of the pool should differ once embedded; found all equal; train longer or pass more")
    difference = other - one
    within = difference.T @ difference / (2 * len(difference))
    # Partners may be equal in some directions, or in all.
    ridge = RIDGE * within.diagonal().mean().clamp(min=1e-3 * total.diagonal().mean())
    within = within + ridge * torch.eye(len(within), dtype=within.dtype)
    lower = torch.linalg.cholesky(within)
    whitened = torch.linalg.solve_triangular(lower, total, upper=False)
    whitened = torch.linalg.solve_triangular(lower, whitened.T, upper=False)
    values, vectors = torch.linalg.eigh((whitened + whitened.T) / 2)
    matrix = torch.linalg.solve_triangular(lower.T, vectors.flip(1), upper=True)
    between = (values.flip(0) - 1 if copies else values.flip(0)).clamp(min=LEAST)
    length = (1 + between).sum().sqrt()
    return Space(
        centre.float(), matrix.float(), between.float(), torch.tensor(copies), length.float(), torch.tensor(False)
    )


def learn_even(embedded: Tensor, first: Tensor, second: Tensor) -> Space:
    """A space in which W and B are the same in every direction, for encoders whose cosines say all there is to say.

    Parameters
    ----------
    embedded, first, second : Tensor
        As of :func:`learn`.

    """
    measured = learn(embedded, first, second, copies=True)  # for its checks and its centre
    rows, one, other = (
        functional.normalize(part.double() - measured.centre.double(), dim=1) for part in (embedded, first, second)
    )
    values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    within = ((other - one).square().mean() / 2).clamp(min=1e-6 * values.mean())
    between = (values.mean() / within - 1).clamp(min=0.1).repeat(len(values))
    length = (1 + between).sum().sqrt()
    matrix = (vectors.flip(1) / within.sqrt()).float()
    return Space(measured.centre, matrix, between.float(), torch.tensor(True), length.float(), torch.tensor(True))


def placed(space: Space, embedded: Tensor) -> Tensor:
    """Coordinates of embedded rows, (n_rows, n_coordinates)."""
    rows = embedded - space.centre
    if bool(space.sphere):
        rows = functional.normalize(rows, dim=1)
    coordinates = rows @ space.matrix
    return space.length * functional.normalize(coordinates, dim=1) if bool(space.length > 0) else coordinates


def unit(space: Space, coordinates: Tensor, n_leading: int | None = None) -> Tensor:
    """Coordinates weighed by how well they tell classes apart, of length 1; the leading ones, or all."""
    kept = slice(n_leading)
    between = space.between[kept]
    return functional.normalize(coordinates[:, kept] * (between / (1 + between)).sqrt(), dim=1)


def shots_of(space: Space, coordinates: Tensor, y: Tensor, n_classes: int) -> Shots:
    """What some labelled rows tell of each class.

    Parameters
    ----------
    space : Space
        As learned.
    coordinates : Tensor of shape (n_rows, n_coordinates)
        Placed shots.
    y : Tensor of shape (n_rows,)
        Class numbers; or of shape (n_rows, n_classes), shares of classes.
    n_classes : int
        Of which each has at least one row.

    """
    shares = functional.one_hot(y, n_classes) if y.ndim == 1 else y
    shares = shares.to(coordinates.dtype)
    count = shares.sum(0)[:, None]
    variance = 1 / (1 / space.between + count)
    mean = variance * (shares.T @ coordinates)
    if bool(space.level):
        expected = (space.between**2 / (space.between + 1 / count)).sum(1, keepdim=True).sqrt()
        mean = expected * functional.normalize(mean, dim=1)
    return Shots(mean, variance)


def log_densities(space: Space, shots: Shots, coordinates: Tensor) -> Tensor:
    """How likely rows are under each class, and, in the last column, under a class without shots.

    Parameters
    ----------
    space : Space
        As learned.
    shots : Shots
        Of the classes.
    coordinates : Tensor of shape (n_rows, n_coordinates)
        Placed rows.

    Returns
    -------
    Tensor of shape (n_rows, n_classes + 1)
        Logarithms, less a constant.

    """
    mean = torch.cat([shots.mean, torch.zeros_like(space.between)[None]])
    variance = torch.cat([shots.variance, space.between[None]]) + 1
    # (x - m)^2 / v as three products: no (n_rows, n_classes, n_coordinates) in memory.
    square = coordinates**2 @ (1 / variance).T - 2 * coordinates @ (mean / variance).T + (mean**2 / variance).sum(1)
    return -0.5 * (square + variance.log().sum(1))
