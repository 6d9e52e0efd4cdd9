"""Omniglot from one to five examples, by embeddings learned without labels.

Split of Vinyals et al., 28 x 28 pixels, rotations as classes of their own: 1,692 test classes (688 for --part
validation). 2,000 tasks of 15 queries a class, the same tasks for every row, inductive: an image's embedding depends on
that image and the encoder alone. Prototypes are means of unit rows, the answer is the highest cosine. All embeddings,
raw pixels too, are centred by the mean of 2,000 drawings of the training pool.

"8 views" is the mean of the unit embeddings of a drawing and seven changed copies of it, half as strong as in training.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

import firstsight as fs
from firstsight import datasets
from firstsight.augment import images
from firstsight.engine.checkpoint import read_checkpoint
from firstsight.engine.execute import keep_freed_memory
from firstsight.engine.record import write_record
from firstsight.nets.encoder import Encoder, seeded
from firstsight.pools.neighbours import embed
from firstsight.seeds import generator_of

SETTINGS = ((5, 1), (5, 5), (20, 1), (20, 5))
N_QUERY = 15
N_VIEWS = 8
DRAWERS = 20
MILD = dataclasses.replace(images.LINES, rotation=7.5, scale=0.1, shear=7.5, shift=0.04, elastic=0.015, stroke=0.25)


def trained(file: Path) -> Encoder:
    """The encoder of a finished run, or of the checkpoint of one that is under way."""
    tensors, _ = read_checkpoint(file)
    prefix = "fast.encoder."
    below = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    encoder = Encoder()
    encoder.load_state_dict(below or tensors)
    return encoder


def unit(embedded: Tensor, centre: Tensor) -> Tensor:
    return functional.normalize(embedded - centre, dim=1)


def many_views(embedding: Callable[[Tensor], Tensor], X: Tensor, centre: Tensor, seed: int) -> Tensor:
    """The mean unit embedding of every row and its changed copies."""
    generator = generator_of(seed, "views")
    total = unit(embedding(X), centre)
    for _ in range(N_VIEWS - 1):
        total = total + unit(embedding(torch.cat([images.augment(generator, x, MILD) for x in X.split(1024)])), centre)
    return functional.normalize(total, dim=1)


def accuracies(embedded: Tensor, *, way: int, shot: int, n_tasks: int, seed: int) -> list[float]:
    """One share a task; rows are classes of 20 drawings one after the other."""
    classes = embedded.unflatten(0, (-1, DRAWERS))
    generator = generator_of(seed, "tasks", way, shot)
    truth = torch.arange(way)[:, None]
    shares = []
    for _ in range(n_tasks):
        chosen = torch.randperm(len(classes), generator=generator)[:way]
        drawn = torch.rand(way, DRAWERS, generator=generator).argsort(1)[:, : shot + N_QUERY]
        rows = classes[chosen[:, None], drawn]
        prototypes = functional.normalize(rows[:, :shot].mean(1), dim=1)
        shares.append(float(((rows[:, shot:] @ prototypes.T).argmax(2) == truth).float().mean()))
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="test", choices=("validation", "test"))
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ours", type=Path, default=Path("runs/out/fewshot_omniglot/encoder.safetensors"))
    parser.add_argument("--plain", type=Path, default=Path("runs/out/fewshot_omniglot_plain/encoder.safetensors"))
    parser.add_argument("--views", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=Path("runs/out/few_shot"))
    args = parser.parse_args()

    X = torch.from_numpy(datasets.load_omniglot(part=args.part).X)
    background = torch.from_numpy(datasets.load_omniglot(part="train").X)
    background = background[torch.randperm(len(background), generator=generator_of(args.seed, "centre"))[:2000]]
    untrained = seeded(Encoder(), args.seed)
    with torch.no_grad():
        for rows in background.split(100):
            untrained(rows)  # for its running statistics
    encoders: dict[str, torch.nn.Module] = {"random encoder": untrained}
    encoders |= {
        name: trained(file) for name, file in (("plain contrast", args.plain), ("ours", args.ours)) if file.exists()
    }

    def pixels(rows: Tensor) -> Tensor:
        return rows.flatten(1)

    embeddings: dict[str, Callable[[Tensor], Tensor]] = {"raw pixels": pixels}
    for name, encoder in encoders.items():
        embeddings[name] = lambda rows, encoder=encoder: embed(encoder, rows)
    results: dict[str, dict[str, list[float]]] = {}
    print(f"Omniglot, {args.part}, {args.tasks} tasks of {N_QUERY} queries a class, seed {args.seed}")
    for name, embedding in embeddings.items():
        centre = embedding(background).mean(0)
        start = time.perf_counter()
        spaces = {name: unit(embedding(X), centre)}
        if args.views and name == "ours":
            spaces[f"{name}, {N_VIEWS} views"] = many_views(embedding, X, centre, args.seed)
        for title, space in spaces.items():
            results[title] = {
                f"{way}w{shot}s": accuracies(space, way=way, shot=shot, n_tasks=args.tasks, seed=args.seed)
                for way, shot in SETTINGS
            }
            line = "  ".join(f"{setting} {fs.interval(shares)}" for setting, shares in results[title].items())
            print(f"{title:18} {line}  ({time.perf_counter() - start:.0f} s)", flush=True)
    if {"ours", "plain contrast"} <= results.keys():
        for setting, shares in results["ours"].items():
            print(f"ours less plain contrast, {setting}: {fs.paired(shares, results['plain contrast'][setting])}")
    means = {title: {setting: sum(s) / len(s) for setting, s in row.items()} for title, row in results.items()}
    write_record(args.out / f"{args.part}.json", {"means": means, "tasks": args.tasks, "seed": args.seed})


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(2)
    main()
