"""The side-by-side rows of ``benchmarks/few_shot.py``: prototypical networks over several sources of episodes.

Snell et al. 2017, arXiv:1703.05175, with the encoder and the pool of ``runs/fewshot_omniglot.py``. An episode is drawn,
its support and query are embedded as one batch, and the cross-entropy of the query falls:

    supervised            true characters with their rotations
    supervised-augmented  the same, every drawing changed at random
    umtra                 single drawings as classes, changed copies of them as queries (arXiv:1811.11819)
    cactus-pixels         clusters of the pixels' principal components (arXiv:1810.02334)
    cactus-contrast       clusters of the features of the plain contrastive encoder

Every episode has 360 drawings, so that a step costs about the same in every row: 1,200 take 7 to 8 minutes of one core.
Only the first two read labels. The loop is its own and not the engine's, whose nets have no running statistics, which
this encoder needs to be tested. Writes encoder.safetensors and record.json to the output folder, and leaves them alone
where they are already.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import NamedTuple

import torch
from fewshot_omniglot import pool, view
from torch import Tensor, nn
from torch.nn import functional

from firstsight import datasets
from firstsight.core import Data, Sample
from firstsight.engine.checkpoint import write_checkpoint
from firstsight.engine.execute import keep_freed_memory
from firstsight.engine.record import write_record
from firstsight.few_shot.embedding import Embedding
from firstsight.meta import protonet
from firstsight.nets.encoder import Encoder, seeded
from firstsight.pools.neighbours import embed
from firstsight.seeds import generator_of
from firstsight.tasks import augmented, episodes, pseudo_labels

WARM_UP = 100  # steps over which the rate rises
N_COMPONENTS = 64


class Method(NamedTuple):
    """A source of 1-shot episodes, and settings that were chosen on the validation characters."""

    source: str
    n_way: int = 60
    n_query: int = 5
    changed: bool = False
    distance: str = "euclidean"
    temperature: float = 16.0
    lr: float = 2e-3
    n_clusters: int = 2000  # 41 drawings each, on average
    n_partitions: int = 4


METHODS = {
    "supervised": Method("labels"),
    "supervised-augmented": Method("labels", changed=True),
    "umtra": Method("changes", n_way=180, n_query=1, distance="cosine", temperature=0.1),
    "cactus-pixels": Method("pixels"),
    "cactus-contrast": Method("contrast"),
}


def components(X: Tensor) -> Tensor:
    """The first principal components of the pixels, (n_rows, N_COMPONENTS)."""
    flat = X.flatten(1)
    centred = flat - flat.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    return centred @ directions[:, -N_COMPONENTS:]


def contrasted(X: Tensor, folder: Path) -> Tensor:
    """The features of an encoder that was trained without labels."""
    return embed(Embedding.load(folder).encoder, X)


def tasks_of(method: Method, seed: int, contrast: Path) -> Sample:
    """Episodes of the training characters; labels are read for the source ``labels`` alone."""
    if method.source == "labels":
        images = datasets.load_omniglot(part="train")
        config = episodes.Config(n_way=method.n_way, n_shot=1, n_query=method.n_query)
        return episodes.build(config, torch.from_numpy(images.X), torch.from_numpy(images.y))
    X = pool(seed)
    if method.source == "changes":
        return augmented.build(augmented.Config(n_way=method.n_way, n_shot=1, n_query=method.n_query), X, view)
    embedded = components(X) if method.source == "pixels" else contrasted(X, contrast)
    clusters = pseudo_labels.Config(
        n_way=method.n_way,
        n_query=method.n_query,
        n_clusters=method.n_clusters,
        n_partitions=method.n_partitions,
        seed=seed,
    )
    return pseudo_labels.build(clusters, X, embedded)


def loss_of(encoder: nn.Module, support: Data, query: Data, config: protonet.Config) -> Tensor:
    """The cross-entropy of a query in nats; support and query are normalised by the statistics of both."""
    assert support.y is not None
    assert query.y is not None
    shots, asked = encoder(torch.cat([support.X, query.X])).split([len(support.X), len(query.X)])
    centres = protonet.prototypes(shots, support.y, config.n_way)
    return functional.cross_entropy(protonet.logits(asked, centres, config=config), query.y)


def train(encoder: nn.Module, sample: Sample, method: Method, *, steps: int, seed: int) -> None:
    """Train in place, an episode a step, by AdamW with a rate that rises and falls as that of ``pools/train.py``."""
    config = protonet.Config(n_way=method.n_way, distance=method.distance, temperature=method.temperature)
    optimizer = torch.optim.AdamW(encoder.train().parameters(), lr=method.lr, weight_decay=1e-2)
    start = time.perf_counter()
    for step in range(steps):
        generator = generator_of(seed, "episode", step)
        support, query = (Data(part.X[0], part.y[0]) for part in sample(generator, 1))
        if method.changed:
            support, query = (part._replace(X=view(generator, part.X)) for part in (support, query))
        loss = loss_of(encoder, support, query, config)
        for group in optimizer.param_groups:
            group["lr"] = method.lr * min(1, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        now = float(loss.detach())
        if not math.isfinite(now):
            raise FloatingPointError(f"the loss of step {step + 1} is {now}; lower lr={method.lr}")
        if (step + 1) % 100 == 0:
            print(f"step {step + 1} of {steps}: loss {now:.3f}, {time.perf_counter() - start:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", required=True, choices=list(METHODS))
    parser.add_argument("--steps", type=int, default=1200, help="episodes of 360 drawings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contrast", type=Path, default=Path("runs/out/fewshot_omniglot_plain"))
    parser.add_argument("--out", type=Path, default=None, help="runs/out/fewshot_METHOD by default")
    args = parser.parse_args()
    out = args.out or Path(f"runs/out/fewshot_{args.method}")
    if (out / "encoder.safetensors").exists():
        print(f"{out}: {json.loads((out / 'record.json').read_text())['seconds']:.0f} s, done before")
        return

    method = METHODS[args.method]
    start, cpu = time.perf_counter(), time.process_time()
    sample = tasks_of(method, args.seed, args.contrast)
    prepared = time.perf_counter() - start
    encoder = seeded(Encoder(), args.seed)
    train(encoder, sample, method, steps=args.steps, seed=args.seed)
    spent = {
        "steps": args.steps,
        "images": args.steps * method.n_way * (1 + method.n_query),
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "seconds_before_the_first_step": prepared,
    }
    print(f"{args.method}: {spent['seconds']:.0f} s, {spent['cpu_seconds']:.0f} s of CPU, {prepared:.0f} s to prepare")
    write_record(out / "record.json", {"method": args.method, **method._asdict(), **spent, "seed": args.seed})
    write_checkpoint(out / "encoder.safetensors", dict(encoder.state_dict()), {"kind": "encoder"})


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(1)
    main()
