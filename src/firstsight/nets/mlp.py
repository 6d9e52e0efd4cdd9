"""A multilayer perceptron."""

from itertools import pairwise

from torch import nn

from firstsight.checks import check_choice, check_number

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def mlp(sizes: tuple[int, ...], *, activation: str = "relu", bias: bool = True) -> nn.Sequential:
    """Linear layers with an activation between them, none after the last.

    Parameters
    ----------
    sizes : tuple of int
        Width of the input, of every hidden layer and of the output; at least two numbers >= 1.
    activation : {"relu", "tanh", "gelu"}
        Between the layers.
    bias : bool
        Whether the linear layers add one.

    Returns
    -------
    nn.Sequential
        ``(n_rows, sizes[0]) -> (n_rows, sizes[-1])``.

    """
    check_choice("activation", activation, list(ACTIVATIONS))
    if len(sizes) < 2:
        raise ValueError(f"sizes={sizes} should hold at least the input and the output width")
    for size in sizes:
        check_number("sizes", size, at_least=1, integer=True)
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out, bias=bias), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])
