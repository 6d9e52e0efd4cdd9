"""Omniglot from one to five examples, by embeddings learned without labels, beside baselines with the same encoder.

Split of Vinyals et al., 28 x 28 pixels, rotations as classes of their own: 1,692 test classes (688 for --part
validation). 15 queries a class, the same tasks for every row, inductive: an image's answer depends on that image, the
shots and what was learned alone; "transductive" is the exception and says so. "Nearest mean": unit rows less the mean
of 2,000 drawings of the training pool, the highest cosine; prototypical networks have it by the squared distance where
that was better on the validation characters. "Two covariances": ``firstsight.few_shot.two_covariances``, its scatter
measured on changed copies of the pool, without labels, whatever the encoder was trained with.

Rows whose files are missing are left out: ``runs/fewshot_omniglot.sh`` makes "ours" and "plain contrast",
``runs/fewshot_baselines.sh`` the prototypical networks, ``runs/omniglot_maml.sh`` MAML and ANIL, which have a net of
their own with 5 outputs and are tested on the first 500 tasks. ``--clusters`` clusters 75 drawings of 5 classes.
``--transfer`` tells digits (MNIST) and clothes (Fashion-MNIST) apart with what was learned from Omniglot, beside raw
pixels and the same encoder trained from nothing on the shots.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import omniglot
import shots
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor

import firstsight as fs
from firstsight import datasets
from firstsight.augment import images
from firstsight.core import Data
from firstsight.engine.checkpoint import read_checkpoint
from firstsight.engine.execute import keep_freed_memory
from firstsight.engine.record import write_record
from firstsight.few_shot import refine, two_covariances
from firstsight.few_shot.embedding import FILE, Embedding
from firstsight.nets.encoder import Encoder, seeded
from firstsight.pools.neighbours import embed
from firstsight.seeds import generator_of

SETTINGS = ((5, 1), (5, 5), (20, 1), (20, 5))
OURS = {  # the folder of each in runs/out
    "ours, 70 minutes": "fewshot_omniglot_long",
    "ours": "fewshot_omniglot",
    "ours, seed 1": "fewshot_omniglot_1",
    "ours, seed 2": "fewshot_omniglot_2",
    "plain contrast": "fewshot_omniglot_plain",
}
BASELINES = {  # the folder of each, and its own distance
    "supervised prototypes": ("fewshot_supervised", "Euclidean"),
    "supervised, changed copies": ("fewshot_supervised-augmented", "Euclidean"),
    "UMTRA": ("fewshot_umtra", "cosine"),
    "CACTUs, pixels": ("fewshot_cactus-pixels", "cosine"),
    "CACTUs, contrast": ("fewshot_cactus-contrast", "cosine"),
}
ADAPTED = ("maml", "anil")
N_ADAPTED = 500  # the first of the tasks: adapting to one takes a hundred times as long as comparing
N_TRANSDUCTIVE = 500
N_SCATTER = 10_000  # drawings of the pool whose changed copies are embedded
N_CLUSTERS, N_DRAWINGS = 5, 15
N_SCRATCH = 20  # tasks on which the encoder is trained from nothing
SHOT_STEPS, SHOT_BATCH = 60, 32


def trained(file: Path) -> Encoder:
    encoder = Encoder()
    encoder.load_state_dict(read_checkpoint(file).tensors)
    return encoder


def untrained(background: Tensor, seed: int) -> Encoder:
    """A random encoder with the pool's running statistics."""
    encoder = seeded(Encoder(), seed)
    assert isinstance(encoder, Encoder)
    with torch.no_grad():
        for rows in background[:2000].split(100):
            encoder(rows)
    return encoder


def scatter(encoder: torch.nn.Module, background: Tensor, seed: int) -> two_covariances.Space:
    generator = generator_of(seed, "scatter")
    changed = torch.cat([images.augment(generator, rows, images.LINES) for rows in background.split(1024)])
    embedded = embed(encoder, background)
    return two_covariances.learn(embedded, embedded, embed(encoder, changed), copies=True)


def by_distance(rows: Tensor, tasks: list[Tensor], shot: int) -> list[float]:
    """One share a task: the prototype of the least squared distance."""
    shares = []
    for task in tasks:
        prototypes = rows[task[:, :shot]].mean(1)
        scores = 2 * rows[task[:, shot:]] @ prototypes.T - prototypes.square().sum(1)
        shares.append(float((scores.argmax(2) == torch.arange(len(task))[:, None]).float().mean()))
    return shares


def transductive(embedding: Embedding, places: Tensor, tasks: list[Tensor], shot: int) -> list[float]:
    """One share a task, the queries moving the classes."""
    shares = []
    for task in tasks:
        support, queries = places[task[:, :shot].flatten()], places[task[:, shot:].flatten()]
        y = torch.arange(len(task)).repeat_interleave(shot)
        start = two_covariances.shots_of(embedding.space, support, y, len(task))
        moved = refine.refined(embedding.space, start, support, y, queries, embedding.calibration)
        answers = two_covariances.log_densities(embedding.space, moved, queries)[:, :-1].argmax(1)
        shares.append(float((answers.reshape(len(task), -1) == torch.arange(len(task))[:, None]).float().mean()))
    return shares


def adapted(name: str, folder: Path, X: Tensor, tasks: list[Tensor], shot: int) -> list[float]:
    """One share a task of 5 classes by a meta-learner of ``benchmarks/omniglot.py``, adapted to each."""
    meta, theta = omniglot.finished(name, json.loads((folder / f"{name}.json").read_text()), folder)
    truth = torch.arange(5)[:, None]
    shares = []
    for task in tasks:
        support = Data(X[task[:, :shot]].flatten(0, 1), truth.expand(5, shot).flatten())
        with torch.no_grad():
            state = meta.adapt(theta, support)
            scores = meta.predict(theta, state, X[task[:, shot:]].flatten(0, 1))
        shares.append(float((scores.argmax(1).reshape(5, -1) == truth).float().mean()))
    return shares


def clusters(model: fs.FewShotClassifier, X: Tensor, y: Tensor, n_tasks: int) -> None:
    """Drawings of classes never seen, clustered in the learned space and in pixels, k known and not."""
    tasks = [task[:, :N_DRAWINGS] for task in shots.drawn(y, way=N_CLUSTERS, shot=1, n_tasks=n_tasks, seed=1)]
    truth = np.repeat(np.arange(N_CLUSTERS), N_DRAWINGS)
    rows: dict[str, list[float]] = {}
    for task in tasks:
        drawings = X[task.flatten()].numpy()
        for space, table in (("learned", model.transform(drawings)), ("pixels", drawings.reshape(len(truth), -1))):
            auto = fs.Clusterer(random_state=0).fit_predict(table)
            told = fs.Clusterer(N_CLUSTERS, noise=False, random_state=0).fit_predict(table)
            means = KMeans(N_CLUSTERS, n_init=10, random_state=0).fit_predict(table)
            rows.setdefault(f"{space}: Clusterer, k unknown, ARI", []).append(adjusted_rand_score(truth, auto))
            for name, labels in (("Clusterer", told), ("k-means", means)):
                counts = contingency_matrix(truth, labels)
                right = counts[linear_sum_assignment(-counts)].sum() / len(truth)
                rows.setdefault(f"{space}: {name}, k known, accuracy", []).append(float(right))
    print(f"{N_CLUSTERS} classes x {N_DRAWINGS} drawings, {n_tasks} tasks")
    for title, values in rows.items():
        print(f"{title:46} {fs.interval(values)}", flush=True)


def from_nothing(X: Tensor, tasks: list[Tensor], shot: int, seed: int) -> list[float]:
    """One share a task: encoder and a linear layer trained on changed copies of the shots alone."""
    shares = []
    for number, task in enumerate(tasks):
        net = torch.nn.Sequential(seeded(Encoder(), seed), seeded(torch.nn.Linear(256, len(task)), seed))
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
        generator = generator_of(seed, "shots", number)
        y = torch.arange(len(task)).repeat_interleave(shot)
        copies = -(-SHOT_BATCH // len(y))
        support, truth = X[task[:, :shot].flatten()].repeat(copies, 1, 1, 1), y.repeat(copies)
        net.train()
        for _ in range(SHOT_STEPS):
            loss = torch.nn.functional.cross_entropy(net(images.augment(generator, support, images.LINES)), truth)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            answers = net(X[task[:, shot:].flatten()]).argmax(1).reshape(len(task), -1)
        shares.append(float((answers == torch.arange(len(task))[:, None]).float().mean()))
    return shares


def transfer(n_tasks: int, seed: int) -> None:
    """Classes of other data sets than the one learned from."""
    embedding = fs.FewShotClassifier.pretrained("omniglot").prior
    for name, data in (("MNIST", datasets.load_mnist()), ("Fashion-MNIST", datasets.load_fashion_mnist())):
        X, y = torch.from_numpy(data.X), torch.from_numpy(data.y)
        rows = embed(embedding.encoder, X)
        results: shots.Table = {title: {} for title in ("raw pixels", "from nothing", "ours")}
        start = time.perf_counter()
        for shot in (1, 5):
            tasks = shots.drawn(y, way=5, shot=shot, n_tasks=n_tasks)
            results["raw pixels"][f"5w{shot}s"] = shots.by_nearest_mean(X.flatten(1) - X.mean(0).flatten(), tasks, shot)
            results["from nothing"][f"5w{shot}s"] = from_nothing(X, tasks[:N_SCRATCH], shot, seed)
            results["ours"][f"5w{shot}s"] = shots.by_two_covariances(embedding.space, rows, tasks, shot)
        print(name)
        for title, row in results.items():
            shots.show(title, row, time.perf_counter() - start)
        shots.compare(results, "ours", ["raw pixels", "from nothing"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="test", choices=("validation", "test"))
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/out"), help="where the folders of the rows are")
    parser.add_argument("--clusters", type=int, default=0, help="tasks to cluster, and nothing else")
    parser.add_argument("--transfer", type=int, default=0, help="tasks of other data sets, and nothing else")
    parser.add_argument("--out", type=Path, default=Path("runs/out/few_shot"))
    args = parser.parse_args()

    drawings = datasets.load_omniglot(part=args.part)
    X, y = torch.from_numpy(drawings.X), torch.from_numpy(drawings.y)
    if args.transfer:
        transfer(args.transfer, args.seed)
        return
    if args.clusters:
        clusters(fs.FewShotClassifier.pretrained("omniglot"), X, y, args.clusters)
        return
    background = torch.from_numpy(datasets.load_omniglot(part="train").X)
    chosen = torch.randperm(len(background), generator=generator_of(args.seed, "centre"))[:N_SCATTER]
    background = background[chosen]
    tasks = {
        (way, shot): shots.drawn(y, way=way, shot=shot, n_tasks=args.tasks, seed=args.seed) for way, shot in SETTINGS
    }
    results: shots.Table = {}

    def add(title: str, scored: dict[str, list[float]], start: float) -> None:
        results[title] = scored
        shots.show(title, scored, time.perf_counter() - start)

    def nearest(rows: Tensor) -> dict[str, list[float]]:
        return {f"{way}w{shot}s": shots.by_nearest_mean(rows, tasks[way, shot], shot) for way, shot in SETTINGS}

    def modelled(space: two_covariances.Space, rows: Tensor) -> dict[str, list[float]]:
        return {
            f"{way}w{shot}s": shots.by_two_covariances(space, rows, tasks[way, shot], shot) for way, shot in SETTINGS
        }

    print(f"Omniglot, {args.part}, {args.tasks} tasks of {shots.N_QUERY} queries a class, seed {args.seed}")
    start = time.perf_counter()
    add("raw pixels", nearest(X.flatten(1) - background[:2000].flatten(1).mean(0)), start)
    for title, folder in OURS.items():
        if not (args.runs / folder / FILE).exists():
            continue
        start = time.perf_counter()
        embedding = Embedding.load(args.runs / folder)
        rows = embed(embedding.encoder, X)
        add(title, modelled(embedding.space, rows), start)
        if title in ("ours, 70 minutes", "ours", "plain contrast"):
            add(f"{title}, nearest mean", nearest(rows - embedding.space.centre), start)
        if title == "ours, 70 minutes":
            places, few = two_covariances.placed(embedding.space, rows), slice(min(args.tasks, N_TRANSDUCTIVE))
            found = {f"{w}w{s}s": transductive(embedding, places, tasks[w, s][few], s) for w, s in SETTINGS}
            add(f"{title}, transductive", found, start)
            for way, shot in ((5, 1), (5, 5)):
                more = shots.drawn(y, way=2 * way, shot=shot, n_tasks=200)
                print(f"  {shot} shots: {shots.calibration(embedding, rows, more, shot)}", flush=True)
    start = time.perf_counter()
    files = {name: (args.runs / folder / "encoder.safetensors", own) for name, (folder, own) in BASELINES.items()}
    nets = {name: (trained(file), own) for name, (file, own) in files.items() if file.exists()}
    nets["random encoder"] = untrained(background, args.seed), "cosine"
    for name, (net, own) in nets.items():
        start = time.perf_counter()
        rows = embed(net, X)
        cosine = nearest(rows - embed(net, background[:2000]).mean(0))
        distance = {f"{way}w{shot}s": by_distance(rows, tasks[way, shot], shot) for way, shot in SETTINGS}
        kinds = {"cosine": cosine, "Euclidean": distance}
        for kind in kinds if args.part == "validation" else (own,):
            add(f"{name}, {kind}", kinds[kind], start)
        add(f"{name}, two covariances", modelled(scatter(net, background, args.seed), rows), start)
    for name in ADAPTED:
        folder, start = args.runs / "omniglot", time.perf_counter()
        if (folder / f"{name}.json").exists():
            few = slice(min(args.tasks, N_ADAPTED))
            add(
                f"{name}, supervised",
                {f"5w{shot}s": adapted(name, folder, X, tasks[5, shot][few], shot) for shot in (1, 5)},
                start,
            )
    for mine in ("ours, 70 minutes", "ours"):
        shots.compare(results, mine, [name for name in results if name != mine])
    means = {title: {setting: sum(s) / len(s) for setting, s in row.items()} for title, row in results.items()}
    write_record(args.out / f"{args.part}.json", {"means": means, "tasks": args.tasks, "seed": args.seed})


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(1)
    main()
