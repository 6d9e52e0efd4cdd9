"""The guided run: a few-shot clusterer for handwritten digits, and digits it has never seen.

For several splits of the ten digit classes into five to meta-train on, two to meta-validate on and three
never seen, it learns how to adapt an embedding to a handful of unlabelled images, and clusters 3-way tasks
of the unseen classes: k-means with 10 restarts in the adapted embedding of the support, and every query
image to the nearest centroid. The rivals meet the same tasks in the same way.

The images are those that scikit-learn ships (Alpaydin and Kaynak 1998, 8 x 8 pixels). The supervised
outer loss uses the labels of the five meta-training classes, and of the two meta-validation classes to
choose among four checkpoints; so does PCA for its number of components. With the unsupervised one there are
no labels at all, and tasks are rows drawn from the unlabelled pool of the same images.
"""

import contextlib
import ctypes
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from cyclopts import Parameter
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, confusion_matrix
from torch import Tensor
from tqdm import tqdm

from firstsight import losses
from firstsight.checks import check_number
from firstsight.core import MetaLearner, Sample, Task, Tree
from firstsight.engine.config import Plan, TrainConfig
from firstsight.engine.evaluate import interval, paired
from firstsight.engine.execute import keep_freed_memory, map_tasks, torch_threads
from firstsight.engine.record import write_record
from firstsight.engine.train import last, meta_train
from firstsight.learners import contrastive
from firstsight.meta import joint, maml
from firstsight.report.pictures import new_figure, save_demo
from firstsight.seeds import generator_of, seed_of
from firstsight.tasks import episodes
from firstsight.tasks.noise import with_noise

PCA_COMPONENTS = (3, 5, 10, 20)
START = contrastive.Config(image_size=8, strength=0.2, temperature=1.0)
"""Where every method begins: small changes of all kinds, and a mild temperature."""
BY_HAND = contrastive.Config(image_size=8, strength=0.5, temperature=0.3)
"""As good as the best of a grid over both on meta-validation classes: see benchmarks/digits_settings.py."""

ADAPT = maml.Config(inner_lr=1.0, inner_steps=3)
"""How every method adapts."""

PIXELS, ON_PCA, OURS = "k-means on pixels", "k-means on PCA", "MAML, supervised"
UNTRAINED = {"not meta-trained": START, "settings by hand": BY_HAND}
WITHOUT_TRAINING = (PIXELS, ON_PCA, *UNTRAINED)
DRAWN = (PIXELS, OURS)
PLAN = Plan(backend="vmap", chunk=16, threads=1)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the demo.

    Parameters
    ----------
    splits : int
        Splits of the ten classes, >= 1; intervals speak of these.
    test_tasks : int
        3-way tasks of unseen classes a split, >= 1.
    steps : int
        Outer steps of every meta-training, >= 1.
    shot : int
        Unlabelled support images a class, >= 1.
    seed : int
        Of everything, >= 0.
    workers : int
        Processes; 0 for one a core.

    """

    splits: int = 10
    test_tasks: int = 40
    steps: int = 60
    shot: int = 10
    seed: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        for name in ("splits", "test_tasks", "steps", "shot"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        for name in ("seed", "workers"):
            check_number(name, getattr(self, name), at_least=0, integer=True)


class Method(NamedTuple):
    """How one row of the table is trained: its outer loop, and whether it sees labels."""

    name: str
    meta: MetaLearner
    training: TrainConfig
    supervised: bool


def methods(config: Config) -> list[Method]:
    """The meta-learned rows of the table; all adapt by the same three steps.

    MAML learns *how to adapt*: which changes leave an image what it is, and the temperature; seven
    numbers that pass from digits to other digits. The embedding that they adapt begins as the identity
    and stays there, because a start learned on five digits does not pass on. Joint training has no
    inner loop to learn from: it trains the embedding.
    """
    fixed, learned = contrastive.build(START), contrastive.build(replace(START, learned_views=True))
    training = TrainConfig(
        steps=config.steps, meta_batch=8, outer_lr=3e-4, validate_every=20, backend="vmap", chunk=8, threads=1
    )
    how = replace(training, outer_lr=0.1, frozen=("embedding",))
    inner = replace(ADAPT, adapted=("embedding",))
    tuned = joint.Config(inner_lr=ADAPT.inner_lr, inner_steps=ADAPT.inner_steps)
    by_class = losses.prototype_cross_entropy
    return [
        Method("joint, unsupervised", joint.build(tuned, fixed), training, False),
        Method("joint, supervised", joint.build(tuned, fixed, losses.on_query(by_class, fixed)), training, True),
        # Outside, a row is known again under views that stay as they begin: a loss that chose its own
        # views would choose none.
        Method("MAML, unsupervised", maml.build(inner, learned, fixed.loss), how, False),
        Method(OURS, maml.build(inner, learned, losses.on_query(by_class, learned)), how, True),
    ]


def row_names(config: Config) -> list[str]:
    """The rows of the table, in order."""
    return [*WITHOUT_TRAINING, *(method.name for method in methods(config))]


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Images of shape (1797, 64) from 0 to 1, and their classes of shape (1797,)."""
    data = load_digits()
    return torch.as_tensor(data.data / 16, dtype=torch.float32), torch.as_tensor(data.target)


def tasks_of(classes: list[int], config: Config, *, supervised: bool = True, n_way: int = 3) -> Sample:
    """Tasks of some classes: N-way episodes, or rows of their unlabelled pool."""
    X, y = digits()
    n_query = 15
    if supervised:
        return episodes.build(episodes.Config(n_way=n_way, n_shot=config.shot, n_query=n_query), X, y, classes)
    unlabelled = X[torch.isin(y, torch.tensor(classes))]
    return episodes.pool(unlabelled, n_support=n_way * config.shot, n_query=n_way * n_query)


def run_split(split: int, name: str, config: Config, out: Path) -> dict[str, Any]:
    """One row of the table on one split: scores of every meta-test task, and what the picture needs."""
    with torch_threads(1):
        X, y = digits()
        seed = seed_of(config.seed, "split", split) % 2**31
        training, validation, unseen = episodes.split_classes(y, (5, 2, 3), seed=seed)
        noise = contrastive.build(START).noise
        test = with_noise(tasks_of(unseen, config), noise)(generator_of(seed, "test"), config.test_tasks)
        facts: dict[str, Any] = {}
        if name == PIXELS:
            support, query = test.support.X, test.query.X
        elif name == ON_PCA:
            validate = tasks_of(validation, config, n_way=2)(generator_of(seed, "validate"), 20)
            basis, facts = best_basis(X[torch.isin(y, torch.tensor(training))], validate)
            support, query = test.support.X @ basis, test.query.X @ basis
        else:
            if name in UNTRAINED:
                meta = maml.build(ADAPT, contrastive.build(UNTRAINED[name]))
                theta = meta.init(generator_of(seed))
            else:
                method = next(method for method in methods(config) if method.name == name)
                meta = method.meta
                steps = meta_train(
                    meta,
                    with_noise(tasks_of(training, config, supervised=method.supervised), noise),
                    replace(method.training, seed=seed),
                    validate=with_noise(tasks_of(validation, config, supervised=method.supervised, n_way=2), noise),
                    directory=out / f"split-{split}" / name.replace(", ", "-"),
                    about={"demo": asdict(replace(config, workers=0)), "split": split, "method": name},
                )
                theta = last(steps).info.best_theta
            support, query = map_tasks(partial(embedded, meta=meta), theta, test, PLAN)
            if "log_strength" in theta:
                names = (*contrastive.TRANSFORMATIONS, "temperature")
                values = torch.cat([theta["log_strength"], theta["log_temperature"][None]]).exp().tolist()
                facts = {"learned": dict(zip(names, values, strict=True))}
        row = {"split": split, **scored(test, support, query), **facts}
        if name not in DRAWN:
            del row["picture"]
        return row


def best_basis(X: Tensor, validate: Task) -> tuple[Tensor, dict[str, Any]]:
    """The principal components of ``X`` whose number clusters the meta-validation tasks best, and the choice."""
    choices = []
    for n_components in PCA_COMPONENTS:
        basis = torch.as_tensor(PCA(n_components).fit(X.numpy()).components_.T, dtype=torch.float32)
        reached = float(np.mean(scored(validate, validate.support.X @ basis, validate.query.X @ basis)["ari"]))
        choices.append((basis, {"components": n_components, "validation": reached}))
    return max(choices, key=lambda choice: float(choice[1]["validation"]))


def embedded(theta: Tree, task: Task, *, meta: MetaLearner) -> tuple[Tensor, Tensor]:
    """Support and query where the adapted embedding puts them."""
    state = meta.adapt(theta, task.support)
    return meta.predict(theta, state, task.support.X), meta.predict(theta, state, task.query.X)


def scored(tasks: Task, support: Tensor, query: Tensor) -> dict[str, Any]:
    """Adjusted Rand index and matched accuracy of k-means on every task, told the number of classes."""
    row: dict[str, Any] = {"ari": [], "accuracy": []}
    found = []
    assert tasks.query.y is not None
    for task, (seen, new, truth) in enumerate(zip(support, query, tasks.query.y, strict=True)):
        k = int(truth.max()) + 1
        labels = KMeans(k, n_init=10, random_state=task).fit(seen.numpy()).predict(new.numpy())
        matrix = confusion_matrix(truth.numpy(), labels)
        row["ari"].append(float(adjusted_rand_score(truth.numpy(), labels)))
        row["accuracy"].append(float(matrix[linear_sum_assignment(-matrix)].sum() / matrix.sum()))
        found.append(labels)
    row["picture"] = {
        "images": tasks.query.X.numpy(),
        "classes": tasks.query.y.numpy(),
        "places": query.numpy(),
        "clusters": np.stack(found),
    }
    return row


def begin_worker() -> None:
    """Make a worker fast, and end it with the process that started it."""
    keep_freed_memory()
    with contextlib.suppress(OSError, AttributeError):
        end_with_parent, kill = 1, 9
        ctypes.CDLL(None).prctl(end_with_parent, kill)


def finished(config: Config, out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of the table on every split, as they come."""
    jobs = [(split, name) for split in range(config.splits) for name in row_names(config)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(config.workers or cores, len(jobs))
    if workers == 1:
        for split, name in jobs:
            yield name, run_split(split, name, config, out)
        return
    # Processes of their own, because a fork would inherit torch's threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker) as pool:
        waiting = {pool.submit(run_split, split, name, config, out): name for split, name in jobs}
        try:
            for job in as_completed(waiting):
                yield waiting[job], job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def summarised(rows: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Means with intervals over splits, and paired differences of every row against every other."""
    table: dict[str, dict[str, Any]] = {}
    splits = [row["split"] for row in rows[OURS] for _ in row["ari"]]
    values = {
        name: {score: [value for row in found for value in row[score]] for score in ("ari", "accuracy")}
        for name, found in rows.items()
    }
    for name, scores in values.items():
        table[name] = {score: interval(scores[score], splits) for score in scores}
        table[name]["ari minus"] = {
            rival: paired(scores["ari"], values[rival]["ari"], splits) for rival in rows if rival != name
        }
    return table


def as_text(table: dict[str, dict[str, Any]], config: Config) -> str:
    """The table for the terminal."""
    lines = [
        f"3-way tasks of unseen digit classes, {config.shot} unlabelled images a class to adapt to.",
        f"Mean and 95 % interval over {config.splits} splits of the classes, {config.test_tasks} tasks each.",
        "",
        f"{'':22}{'adjusted Rand index':22}{'matched accuracy':22}{'minus k-means':24}{'minus k-means on PCA':24}",
    ]
    for name, entry in table.items():
        differences = [entry["ari minus"].get(rival, "") for rival in (PIXELS, ON_PCA)]
        cells = [f"{entry['ari']!s:22}{entry['accuracy']!s:22}", *(f"{difference!s:24}" for difference in differences)]
        lines.append(f"{name:22}{''.join(cells)}".rstrip())
    lines += ["", "What meta-training added to the adjusted Rand index:"]
    for ours, rivals in {
        "MAML, unsupervised": ["not meta-trained", "settings by hand", "joint, unsupervised"],
        OURS: ["not meta-trained", "settings by hand", "joint, supervised"],
    }.items():
        lines += [f"  {ours} minus {rival:20} {table[ours]['ari minus'][rival]}" for rival in rivals]
    return "\n".join(lines)


def run(
    config: Annotated[Config, Parameter(name="*")] = Config(),
    *,
    out: Path = Path("firstsight-demo"),
) -> None:
    """Meta-train a few-shot clusterer on handwritten digits, and cluster digits it has never seen.

    Parameters
    ----------
    config : Config
        Settings.
    out : Path
        Folder for checkpoints, record.json and picture.png. A run that was stopped goes on from there.

    Raises
    ------
    NotADirectoryError
        When ``out`` is a file.
    ModuleNotFoundError
        When matplotlib is not installed.
    CheckpointError
        When ``out`` holds a run with other settings.

    """
    new_figure(1, 1)  # says now, and not after the training, that matplotlib is missing
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"out={out} should be a folder; it is a file; pass another --out")
    rows: dict[str, list[dict[str, Any]]] = {}
    with tqdm(
        total=config.splits * len(row_names(config)), desc="meta-train, adapt, cluster", unit="job", disable=None
    ) as bar:
        for name, row in finished(config, out):
            rows.setdefault(name, []).append(row)
            bar.update()
    rows = {name: sorted(rows[name], key=lambda row: int(row["split"])) for name in row_names(config)}
    table = summarised(rows)
    print(as_text(table, config))
    pictures = {name: [row.pop("picture") for row in rows[name]] for name in DRAWN}
    before, after = (
        {part: np.concatenate([picture[part] for picture in pictures[name]]) for part in pictures[name][0]}
        for name in DRAWN
    )
    gains = [np.subtract(ours["ari"], theirs["ari"]) for ours, theirs in zip(rows[OURS], rows[PIXELS], strict=True)]
    save_demo(
        out / "picture.png",
        before=before,
        after=after,
        gains=np.concatenate(gains),
        scores={name: entry["ari"] for name, entry in table.items()},
        learned=[row["learned"] for row in rows[OURS]],
        start={**dict.fromkeys(contrastive.TRANSFORMATIONS, START.strength), "temperature": START.temperature},
    )
    write_record(out / "record.json", {"config": asdict(config), "summary": table, "rows": rows})
    print(f"\nwritten: {out / 'picture.png'}, {out / 'record.json'} and a checkpoint for every training")
