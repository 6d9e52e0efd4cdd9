"""Spoken classes from one and five examples, by embeddings learned without labels.

Free Spoken Digit Dataset, 8 kHz; a class is a digit by a speaker. Digits 0 to 5 without labels are the pool, digits 6
to 9 the test; ``--part validation``, which settings were chosen on, has digits 0 to 2 as the pool and 3 to 5 as the
classes. "Shared": all six speakers in both. "Disjoint": three speakers in the pool, the other three in the test.

1,000 tasks of 5 classes and 15 queries a class, the same for every row and seed, inductive. "Ours" is
``FewShotClassifier().meta_fit(pool)``. "Nearest mean": unit rows less the mean of the pool, the highest cosine. "Two
covariances" without a training: the same model as ours over other features, from mutual neighbours of the pool.

"Supervised" is a prototypical network of the same encoder, changes of sounds and number of pictures seen, trained on
the pool's true classes: what labels would give.
"""

import argparse
import math
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shots
import torch
from torch import Tensor, nn
from torch.nn import functional

import firstsight as fs
from firstsight import datasets
from firstsight.augment import sounds as changes
from firstsight.engine.execute import keep_freed_memory
from firstsight.engine.record import write_record
from firstsight.few_shot import learn, prepare, two_covariances
from firstsight.inputs import sounds
from firstsight.meta import protonet
from firstsight.nets.encoder import seeded
from firstsight.nets.frames import FrameEncoder
from firstsight.pools import train
from firstsight.pools.neighbours import embed
from firstsight.seeds import generator_of

SPEAKER_PARTS = {"shared": ((0, 1, 2, 3, 4, 5), (0, 1, 2, 3, 4, 5)), "disjoint": ((0, 1, 2), (3, 4, 5))}
DIGITS = {"validation": ((0, 1, 2), (3, 4, 5)), "test": ((0, 1, 2, 3, 4, 5), (6, 7, 8, 9))}
N_WAY = 5
SHOTS = (1, 5)
N_EPISODE = {"n_way": 9, "n_shot": 1, "n_query": 13}  # 126 pictures a step; contrast sees 128, in two views


class Parts(NamedTuple):
    """Places of recordings: the pool, in a random order, and the test."""

    pool: Tensor
    test: Tensor


def split(data: datasets.Sounds, part: str, way: str) -> Parts:
    pool, test = (
        torch.from_numpy(np.flatnonzero(np.isin(data.digit, digits) & np.isin(data.speaker, speakers)))
        for digits, speakers in zip(DIGITS[part], SPEAKER_PARTS[way], strict=True)
    )
    return Parts(pool[torch.randperm(len(pool), generator=generator_of(0, "pool", way))], test)


def cepstra(waveforms: list[np.ndarray], rate: int) -> Tensor:
    """Mean and standard deviation over time of 20 coefficients, (n, 40): the classical description."""
    import librosa

    rows = []
    for waveform in waveforms:
        found = librosa.feature.mfcc(
            y=(waveform / 32768).astype(np.float32), sr=rate, n_mfcc=20, n_fft=512, win_length=256, hop_length=100,
            n_mels=sounds.TELLING.n_mels,
        )  # fmt: skip
        rows.append(np.concatenate([found.mean(1), found.std(1)]))
    return torch.from_numpy(np.stack(rows)).float()


def view(generator: torch.Generator, X: Tensor) -> Tensor:
    return changes.augment(generator, X, changes.SPEECH)


def supervised(pool: Tensor, y: Tensor, seed: int) -> nn.Module:
    """The encoder after as many steps as a prototypical network, with the same schedule."""
    encoder = seeded(FrameEncoder(), seed)
    steps, lr = learn.settings_of(len(pool), prepare.Config(), prepare.SOUNDS)[1].steps, prepare.SOUNDS.lr
    members = [(y == label).nonzero().flatten() for label in y.unique()]
    n_way, n_shot, n_query = N_EPISODE["n_way"], N_EPISODE["n_shot"], N_EPISODE["n_query"]
    config = protonet.Config(n_way=n_way)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=lr, weight_decay=1e-2)
    truth = torch.arange(n_way)
    for step in range(steps):
        generator = generator_of(seed, "episode", step)
        rows = torch.cat(
            [
                members[number][torch.randperm(len(members[number]), generator=generator)[: n_shot + n_query]]
                for number in torch.randperm(len(members), generator=generator)[:n_way].tolist()
            ]
        )
        embedded = encoder(view(generator, pool[rows])).unflatten(0, (n_way, -1))
        centres = protonet.prototypes(embedded[:, :n_shot].flatten(0, 1), truth.repeat_interleave(n_shot), n_way)
        scores = protonet.logits(embedded[:, n_shot:].flatten(0, 1), centres, config=config)
        loss = functional.cross_entropy(scores, truth.repeat_interleave(n_query))
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / train.WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return encoder


def untrained(pool: Tensor, seed: int) -> nn.Module:
    """The encoder as it begins, with the pool's running statistics."""
    encoder = seeded(FrameEncoder(), seed)
    with torch.no_grad():
        for rows in pool.split(100):
            encoder(rows)
    return encoder


def without_training(pool: Tensor) -> two_covariances.Space:
    """The model over some features: neighbours of the pool are all it knows."""
    start = two_covariances.learn(pool, pool, pool, copies=True)
    return learn.by_neighbours(generator_of(0, "neighbours"), pool, start)


def ours(data: datasets.Sounds, pool: Tensor, seed: int, method: str) -> fs.FewShotClassifier:
    model = fs.FewShotClassifier(method=method, sample_rate=data.rate, n_jobs=1, random_state=seed)
    return model.meta_fit([data.X[place] for place in pool])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="test", choices=tuple(DIGITS))
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--only-ours", action="store_true", help="for further seeds: the rows without training stay")
    parser.add_argument("--out", type=Path, default=Path("runs/out/few_shot_sound"))
    args = parser.parse_args()

    data = datasets.load_fsdd()
    X, y = sounds.log_mel(data.X, sounds.TELLING), torch.from_numpy(data.y)
    classical = None if args.only_ours else cepstra(data.X, data.rate)
    means: dict[str, dict[str, float]] = {}
    for way in SPEAKER_PARTS:
        pool, test = split(data, args.part, way)
        print(
            f"FSDD, {args.part}, speakers {way}: {len(pool)} recordings, {len(y[test].unique())} classes to tell apart"
        )
        tasks = {shot: shots.drawn(y[test], way=N_WAY, shot=shot, n_tasks=args.tasks) for shot in SHOTS}
        results: shots.Table = {}

        def add(
            title: str,
            rows: Tensor,
            space: two_covariances.Space | None,
            seconds: float,
            results: shots.Table = results,
            tasks: dict[int, list[Tensor]] = tasks,
        ) -> None:
            results[title] = {
                f"{N_WAY}w{shot}s": shots.by_nearest_mean(rows, tasks[shot], shot)
                if space is None
                else shots.by_two_covariances(space, rows, tasks[shot], shot)
                for shot in SHOTS
            }
            shots.show(title, results[title], seconds)

        for title, method in (("ours", "neighbours"), ("plain contrast", "contrast")):
            start = time.perf_counter()
            embedding = ours(data, pool, args.seed, method).prior
            rows, seconds = embed(embedding.encoder, X[test]), time.perf_counter() - start
            add(title, rows, embedding.space, seconds)
            if title == "ours":
                add("ours, nearest mean", rows - embedding.space.centre, None, seconds)
                for shot in SHOTS:
                    more = shots.drawn(y[test], way=2 * N_WAY, shot=shot, n_tasks=200)
                    print(f"  ours, {shot} shots: {shots.calibration(embedding, rows, more, shot)}", flush=True)
            if args.only_ours:
                break
        if not args.only_ours and classical is not None:
            start = time.perf_counter()
            nets = {"random encoder": untrained(X[pool], args.seed)}
            nets["supervised"] = supervised(X[pool], y[pool], args.seed)
            seconds = time.perf_counter() - start
            scaled = (classical - classical[pool].mean(0)) / classical[pool].std(0)
            features = {"raw log-mel": X.flatten(1), "MFCC": scaled}
            features |= {name: embed(net, X) for name, net in nets.items()}
            for title, found in features.items():
                add(f"{title}, nearest mean", found[test] - found[pool].mean(0), None, seconds)
                if title != "raw log-mel":
                    add(f"{title}, two covariances", found[test], without_training(found[pool]), seconds)
        others = [
            f"{title}, {kind}" for title in ("supervised", "MFCC") for kind in ("nearest mean", "two covariances")
        ]
        shots.compare(results, "ours", [*others, "plain contrast"])
        means |= {
            f"{way}, {title}": {setting: float(np.mean(shares)) for setting, shares in row.items()}
            for title, row in results.items()
        }
    write_record(args.out / f"{args.part}_{args.seed}.json", {"means": means, "tasks": args.tasks, "seed": args.seed})


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(1)  # small nets gain nothing from more
    main()
