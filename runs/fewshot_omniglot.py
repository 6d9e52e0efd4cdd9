"""An embedding of Omniglot's characters from the unlabelled training pool: Conv4-64 on 28 x 28 pixels, 4 rotations.

Labels are not read: the pool is a tensor of drawings in a random order, so that not even a row's place tells
its class. Resumes; writes embedding.safetensors and record.json to the output folder. The same as
``FewShotClassifier().meta_fit(pool)``, with more steps, a number of searches, and times that are noted.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from firstsight import datasets
from firstsight.augment import images
from firstsight.engine.checkpoint import write_whole
from firstsight.engine.execute import keep_freed_memory
from firstsight.engine.record import write_record
from firstsight.few_shot import learn, prepare
from firstsight.inputs.images import Reader
from firstsight.nets.encoder import Encoder, head, seeded
from firstsight.pools import neighbours, train
from firstsight.seeds import generator_of

BATCH = 64
TRIAL = 20  # steps that are timed to turn minutes into steps
PER_SEARCH = 500  # steps that take as long as one


def pool(seed: int) -> Tensor:
    """The drawings of the training characters, (82240, 1, 28, 28), in a random order and without labels."""
    X = torch.from_numpy(datasets.load_omniglot(part="train").X)
    return X[torch.randperm(len(X), generator=generator_of(seed, "pool"))]


def nets_of(seed: int) -> neighbours.Nets:
    """Conv4-64 to 256 features, and two heads."""
    parts = Encoder(), head(256, 512, 128), head(128, 512, 128)
    return neighbours.Nets(*(seeded(part, seed + number) for number, part in enumerate(parts)))


def view(generator: torch.Generator, X: Tensor) -> Tensor:
    """A changed copy of some drawings."""
    return images.augment(generator, X, images.LINES)


def settings(steps: int, seed: int, *, searches: int) -> tuple[neighbours.Config, train.TrainConfig]:
    """The objective and the training of this many steps, with looks for neighbours at even distances."""
    every = max(1, steps // (searches + 1))
    objective = neighbours.Config(neighbours_from=every if searches else steps + 1, renew_every=every)
    return objective, train.TrainConfig(steps=steps, batch=BATCH, seed=seed, checkpoint_every=max(1, steps // 16))


def steps_in(minutes: float, X: Tensor, seed: int, *, searches: int) -> int:
    """Steps that fit into some minutes, as timed once."""
    *_, config = settings(2 * TRIAL, seed, searches=0)
    taken = train.train_pool(nets_of(seed), X, view, neighbours.Config(neighbours_from=10**9), config)
    for _ in range(TRIAL):
        next(taken)
    start = time.perf_counter()
    for _ in range(TRIAL):
        next(taken)
    per_step = (time.perf_counter() - start) / TRIAL
    return max(8, round(60 * minutes / per_step) - searches * PER_SEARCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="turned into steps once, by timing a few")
    parser.add_argument("--steps", type=int, default=None, help="instead of --minutes: the same on every machine")
    parser.add_argument("--searches", type=int, default=3, help="for neighbours; 0 is plain contrast, the baseline")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/out/fewshot_omniglot"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    X = pool(args.seed)
    file = args.out / "progress.json"
    if file.exists():
        progress = json.loads(file.read_text())
    else:
        steps = args.steps or steps_in(args.minutes, X, args.seed, searches=args.searches)
        progress = {"steps": steps, "seconds": 0.0, "cpu_seconds": 0.0}
        write_whole(file, json.dumps(progress).encode())
    objective, config = settings(progress["steps"], args.seed, searches=args.searches)
    shares = {"augment": 0.0}

    def timed(generator: torch.Generator, rows: Tensor) -> Tensor:
        before = time.perf_counter()
        changed = view(generator, rows)
        shares["augment"] += time.perf_counter() - before
        return changed

    start, cpu = time.perf_counter(), time.process_time()
    taken = train.train_pool(
        nets_of(args.seed), X, timed, objective, config, directory=args.out, about={"searches": args.searches}
    )

    def noted() -> Iterator[train.PoolStep]:
        for step in taken:
            if step.step % config.checkpoint_every == 0 or step.step == config.steps:
                seconds = progress["seconds"] + time.perf_counter() - start
                cpu_seconds = progress["cpu_seconds"] + time.process_time() - cpu
                now = {"steps": config.steps, "seconds": seconds, "cpu_seconds": cpu_seconds}
                write_whole(file, json.dumps(now).encode())
                share = shares["augment"] / (time.perf_counter() - start)
                print(
                    f"step {step.step} of {config.steps}: loss {step.loss:.3f}, {seconds:.0f} s, {cpu_seconds:.0f} s "
                    f"of CPU, augmentation {share:.1%} of the time",
                    flush=True,
                )
            yield step

    done = train.last(noted(), total=config.steps, label="pool of Omniglot")
    spent = json.loads(file.read_text())
    ready = prepare.Prepared(
        Reader(), X, [], images.LINES, view, ("conv", {"n_channels": 1, "image_size": 28}), prepare.IMAGES
    )
    about = {"kind": "images", "pool": "Omniglot, training characters", "steps": config.steps, "seed": args.seed}
    learn.measured(ready, "images", done.nets.encoder, ready.net, args.seed, about).save(args.out)
    record = {"objective": vars(objective), "training": vars(config), "augmentation": vars(images.LINES), **spent}
    write_record(args.out / "record.json", {**record, "images": config.steps * config.batch, "seed": args.seed})


if __name__ == "__main__":
    keep_freed_memory()
    main()
