"""Few-shot tasks from labelled rows, and the share of right answers in each: shared by the few-shot benchmarks.

The same tasks for every row of a table; inductive: the answer to a query depends on it, the shots and the pool alone.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import firstsight as fs
from firstsight.few_shot import two_covariances
from firstsight.few_shot.calibrate import log_shares, suited, unknown_odds
from firstsight.few_shot.embedding import Embedding
from firstsight.few_shot.two_covariances import Space
from firstsight.seeds import generator_of

N_QUERY = 15
Table = dict[str, dict[str, list[float]]]


def drawn(y: Tensor, *, way: int, shot: int, n_tasks: int, seed: int = 0) -> list[Tensor]:
    """Row numbers of every task, (way, shot + N_QUERY)."""
    classes = [(y == label).nonzero().flatten() for label in y.unique()]
    generator = generator_of(seed, "tasks", way, shot)
    tasks = []
    for _ in range(n_tasks):
        chosen = torch.randperm(len(classes), generator=generator)[:way].tolist()
        members = [classes[number] for number in chosen]
        tasks.append(
            torch.stack([rows[torch.randperm(len(rows), generator=generator)[: shot + N_QUERY]] for rows in members])
        )
    return tasks


def by_nearest_mean(rows: Tensor, tasks: list[Tensor], shot: int) -> list[float]:
    """One share a task: the prototype of the highest cosine."""
    unit = functional.normalize(rows, dim=1)
    shares = []
    for task in tasks:
        prototypes = functional.normalize(unit[task[:, :shot]].mean(1), dim=1)
        answers = (unit[task[:, shot:]] @ prototypes.T).argmax(2)
        shares.append(float((answers == torch.arange(len(task))[:, None]).float().mean()))
    return shares


def densities(space: Space, places: Tensor, task: Tensor, shot: int, *, way: int | None = None) -> Tensor:
    """Log densities of a task's queries under its first ``way`` classes, and under none; in the order of classes."""
    way = way or len(task)
    support = task[:way, :shot]
    y = torch.arange(way).repeat_interleave(shot)
    learned = two_covariances.shots_of(space, places[support.flatten()], y, way)
    return two_covariances.log_densities(space, learned, places[task[:, shot:].flatten()])


def by_two_covariances(space: Space, embedded: Tensor, tasks: list[Tensor], shot: int) -> list[float]:
    """One share a task: the class of the highest density."""
    places = two_covariances.placed(space, embedded)
    return [
        float(
            (
                densities(space, places, task, shot)[:, :-1].argmax(1).reshape(len(task), -1)
                == torch.arange(len(task))[:, None]
            )
            .float()
            .mean()
        )
        for task in tasks
    ]


def calibration(embedding: Embedding, embedded: Tensor, tasks: list[Tensor], shot: int) -> str:
    """How sure and how right the answers are; half of each task's classes have no shots here."""
    places = two_covariances.placed(embedding.space, embedded)
    sure, right, known, unknown = [], [], [], []
    for task in tasks:
        way = len(task) // 2
        found = densities(embedding.space, places, task, shot, way=way)
        shown = places[task[:way, :shot].flatten()]
        own = suited(embedding.calibration, embedding.space, shown, torch.arange(way).repeat_interleave(shot))
        n_known = way * N_QUERY
        shares = log_shares(found[:n_known], own).exp()
        sure.append(shares.max(1).values)
        right.append(shares.argmax(1) == torch.arange(way).repeat_interleave(N_QUERY))
        odds = unknown_odds(found, own)
        known.append(odds[:n_known].sigmoid())
        unknown.append(odds[n_known:].sigmoid())
    confidence, hits = torch.cat(sure).numpy(), torch.cat(right).numpy()
    place = np.clip((10 * confidence).astype(int), 0, 9)
    gaps = [abs(confidence[place == k].mean() - hits[place == k].mean()) * (place == k).mean() for k in set(place)]
    of_known, of_unknown = torch.cat(known), torch.cat(unknown)
    said = (float((of_known < 0.5).float().mean()) + float((of_unknown > 0.5).float().mean())) / 2
    return f"{way} ways of {2 * way} classes: ECE {sum(gaps):.3f}; known from unknown {said:.3f} (balanced accuracy)"


def show(title: str, row: dict[str, list[float]], seconds: float) -> None:
    """Print a line of the table."""
    line = "  ".join(f"{setting} {fs.interval(shares)}" for setting, shares in row.items())
    print(f"{title:34} {line}  ({seconds:.0f} s)", flush=True)


def compare(results: Table, ours: str, others: list[str]) -> None:
    """Print paired differences of one row to others."""
    for other in others:
        if {ours, other} <= results.keys():
            common = [setting for setting in results[ours] if setting in results[other]]
            pairs = [(results[ours][setting], results[other][setting]) for setting in common]
            less = "  ".join(
                f"{setting} {fs.paired(mine[: len(theirs)], theirs)}"
                for setting, (mine, theirs) in zip(common, pairs, strict=True)
            )
            print(f"{ours} less {other}: {less}", flush=True)
