"""A class of digits never seen, from 5 images: a variational autoencoder with a past against one without.

MNIST's test digits at 14 x 14 pixels (means of 2 x 2), binarised once: a pixel is 1 with its gray value as the chance.
In five folds two digits are test classes, one is for validation, the other seven are meta-training classes, one class
a task. The figure is the importance-weighted bound on log p(x) of held-out images of the test class, in nats an image,
with the same number of draws for all.

With a past: joint training on the seven classes and on changed copies of their images (turned, slanted, stretched,
half of them mirrored), alone, fine-tuned on the 5 images, or followed by Meta-SGD with a rate for every leaf. The codes
have a learned prior, which fine-tuning moves much faster than the nets. Rates and number of steps of the fine-tuning,
whether it sees slightly changed copies of the 5 images too, and which of the two methods stands for meta-learning in a
fold, are chosen on the validation class. Without: Adam from scratch on 5, 20, 50 or 200 images of the class, in three
sizes, and with slightly changed copies too; a fifth of the images says when to stop and which setting is best, and the
best is fitted again to all of them for as long. Prints a table and writes vae_digits.json to the output folder. Resumes
by fold.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

import firstsight as fs
from firstsight import datasets
from firstsight.core import Data, Learner, Tree
from firstsight.engine.record import write_record
from firstsight.learners import vae
from firstsight.meta import joint, meta_sgd
from firstsight.meta.inner import gradient_steps
from firstsight.seeds import generator_of
from firstsight.tasks import episodes
from firstsight.tasks.noise import with_noise
from firstsight.trees import detach, leaves, named_leaves, replace_leaves, tree_map

N_SHOT = 5
N_FULL = 200  # images that training from scratch may see; those after them are held out
N_SUPPORTS = 3
STEPS = (5, 10, 20, 40)
RATES = ((0.2, 0.0), (0.2, 0.002), (0.2, 0.005))  # of the prior, and of the decoder
PAST = vae.Config(n_features=196, n_code=32, hidden=(400,), decoder="bernoulli", prior="learned", n_draws=1)
SIZES = (((50,), 5, False), ((100,), 10, False), ((200,), 20, False), ((100,), 10, True))  # and whether with copies


class Digits(NamedTuple):
    """By class, in an order drawn once: gray images of shape (n, 1, 28, 28), and binary ones of shape (n, 196)."""

    gray: dict[int, Tensor]
    binary: dict[int, Tensor]


def digits() -> Digits:
    """The images of every class."""
    images = datasets.load_mnist()
    X, y = torch.from_numpy(images.X), torch.from_numpy(images.y)
    binary = binarised(X, generator_of(0, "binarise"))
    gray, small = {}, {}
    for digit in range(10):
        rows = (y == digit).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=generator_of(digit, "order"))]
        gray[digit], small[digit] = X[rows], binary[rows]
    return Digits(gray, small)


def binarised(gray: Tensor, generator: torch.Generator) -> Tensor:
    """Binary images of half the side, as rows."""
    return torch.bernoulli(functional.avg_pool2d(gray, 2).flatten(1).clamp(0, 1), generator=generator)


def changed(images: Tensor, generator: torch.Generator, *, much: bool, mirrored: bool = False) -> Tensor:
    """Every image turned, slanted, stretched and moved at random, a little or much; perhaps mirrored."""

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(images), generator=generator)

    turn, slant, move = (0.35, 0.4, 0.06) if much else (0.12, 0.2, 0.03)
    angle, shear = drawn(-turn, turn), drawn(-slant, slant)
    wide, high = (drawn(-0.1, 0.8 if much else 0.1).exp(), drawn(-0.1, 0.3 if much else 0.1).exp())
    if mirrored:
        wide, high = (side * (2.0 * torch.randint(2, side.shape, generator=generator) - 1) for side in (wide, high))
    cos, sin = angle.cos(), angle.sin()
    rows = (
        torch.stack([wide * cos, wide * (shear * cos - sin), drawn(-move, move)], 1),
        torch.stack([high * sin, high * (shear * sin + cos), drawn(-move, move)], 1),
    )
    places = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, places, align_corners=False).clamp(0, 1)


def with_copies(X: Tensor, seed: int, n_copies: int = 10) -> Tensor:
    """Binary images, and slightly changed copies of them, whose pixels are between 0 and 1."""
    copies = X.view(-1, 1, 14, 14).repeat(n_copies, 1, 1, 1)
    return torch.cat([X, changed(copies, generator_of(seed, "copies"), much=False).flatten(1)])


def bound(params: Tree, nets: vae.Nets, X: Tensor, n_draws: int) -> float:
    """The importance-weighted bound, in nats an image."""
    noise = torch.randn(len(X), n_draws, nets.config.n_code, generator=generator_of(0, "bound"))
    with torch.no_grad():
        parts = [
            len(rows) * vae.importance_bound(params, Data(rows, None, drawn), nets=nets)
            for rows, drawn in zip(X.split(50), noise.split(50), strict=True)
        ]
    return float(sum(parts)) / len(X)


def descend(learner: Learner, nets: vae.Nets, X: Tensor, held_out: Tensor, n_steps: int, seed: int) -> Any:
    """Adam from scratch: the loss of held-out images, its step and the parameters, where it was least; or the last."""
    generator = generator_of(seed, "scratch")
    params = learner.init(generator)
    last = max(params["decoder"], key=int)
    # A start that knows the mean image is ahead of one at random.
    params["decoder"][last]["bias"] = ((X.sum(0) + 0.5) / (len(X) + 1)).logit()
    params = tree_map(lambda leaf: leaf.clone().requires_grad_(), params)
    optimizer = torch.optim.Adam(leaves(params), lr=2e-3)
    watched = Data(held_out, None, torch.randn(len(held_out), 32, nets.config.n_code, generator=generator))
    best: Any = (math.inf, 0, params)
    for step in range(1, n_steps + 1):
        chosen = X[torch.randint(len(X), (min(50, len(X)),), generator=generator)]
        noise = torch.randn(len(chosen), 1, nets.config.n_code, generator=generator)
        optimizer.zero_grad()
        learner.loss(params, Data(chosen, None, noise)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if len(held_out) and step % 25 == 0:
            with torch.no_grad():
                found = float(learner.loss(params, watched))
            if found < best[0]:
                best = (found, step, detach(tree_map(torch.clone, params)))
            elif step > best[1] + 250:
                break
    return best if len(held_out) else (math.nan, n_steps, detach(params))


def scratch(X: Tensor, seed: int) -> tuple[Tree, vae.Nets]:
    """The best setting by held-out images, fitted again to all images for as many steps."""
    cut = len(X) - len(X) // 5
    tried = []
    for hidden, n_code, copies in SIZES:
        config = vae.Config(n_features=196, n_code=n_code, hidden=hidden, decoder="bernoulli", n_draws=1)
        learner, nets = vae.build(config), vae.nets(config)
        fitted = with_copies(X[:cut], seed) if copies else X[:cut]
        tried.append((*descend(learner, nets, fitted, X[cut:], 2000, seed)[:2], copies, learner, nets))
    _, n_steps, copies, learner, nets = min(tried, key=lambda found: found[0])
    return descend(learner, nets, with_copies(X, seed) if copies else X, X[:0], n_steps, seed)[2], nets


def rates_of(params: Tree, of_prior: float, of_decoder: float) -> Tree:
    """A rate for every leaf; none for the encoder."""
    values = {"prior": of_prior, "decoder": of_decoder, "encoder": 0.0}
    return replace_leaves(
        params, {name: torch.full_like(leaf, values[name.split(".")[0]]) for name, leaf in named_leaves(params)}
    )


def tuned(params: Tree, rates: Tree, X: Tensor, seed: int, steps: tuple[int, ...]) -> dict[int, Tree]:
    """Parameters after each of these numbers of fine-tuning steps on the images X."""
    learner = vae.build(PAST)
    n_draws = 16 if len(X) == N_SHOT else 4
    support = Data(X, None, torch.randn(len(X), n_draws, PAST.n_code, generator=generator_of(seed, "tune")))
    found, before = {}, 0
    for step in steps:
        params = gradient_steps(
            params, support, loss=learner.loss, rates=rates, n_steps=step - before, first_order=True
        )
        found[step], before = detach(params), step
    return found


def with_a_past(parts: Digits, training: list[int], validation: int, args: argparse.Namespace, seed: int) -> Any:
    """Joint parameters, and by method: the score on the validation class, steps, copies, rates and parameters."""
    learner, nets = vae.build(PAST), vae.nets(PAST)
    generator = generator_of(seed, "changes")
    images, classes = [], []
    for digit in training:
        gray = parts.gray[digit]
        # Half of the changed copies are mirrored: a bend to the left becomes one to the right.
        copies = [
            binarised(changed(gray, generator, much=k < 5, mirrored=k % 2 == 0), generator) for k in range(args.copies)
        ]
        images += [parts.binary[digit]] * 3 + copies
        classes += [torch.full((len(gray),), digit)] * (3 + args.copies)
    X, y = torch.cat(images), torch.cat(classes)

    def drawn(n_query: int) -> fs.Sample:
        return with_noise(episodes.build(episodes.Config(n_way=1, n_shot=N_SHOT, n_query=n_query), X, y), learner.noise)

    plan: dict[str, Any] = {"schedule": "cosine", "backend": "vmap", "chunk": 8, "meta_batch": 8, "threads": 1}
    steps = fs.meta_train(
        joint.build(joint.Config(inner_steps=0), learner),
        drawn(11),
        fs.TrainConfig(steps=args.joint_steps, outer_lr=2e-3, seed=seed, **plan),
    )
    together = detach(fs.last(steps, total=args.joint_steps, label="joint").theta)
    steps = fs.meta_train(
        meta_sgd.build(meta_sgd.Config(inner_steps=STEPS[0], rates="element"), learner),
        drawn(15),
        fs.TrainConfig(steps=args.meta_steps, outer_lr=5e-4, seed=seed, **plan),
        start={"params": together, "rates": rates_of(together, 0.4, 0.004)},
    )
    learned = detach(fs.last(steps, total=args.meta_steps, label="meta_sgd").theta)
    candidates = [("joint", together, rates_of(together, *pair), pair) for pair in RATES]
    candidates.append(("meta_sgd", learned["params"], learned["rates"], "learned"))
    best: dict[str, Any] = {}
    own = parts.binary[validation]
    for name, params, rates, said in candidates:
        for copies in (False, True):
            scores = dict.fromkeys(STEPS, 0.0)
            for number in range(2):
                support = own[N_SHOT * number : N_SHOT * (number + 1)]
                support = with_copies(support, number) if copies else support
                for step, fitted in tuned(params, rates, support, number, STEPS).items():
                    scores[step] += bound(fitted, nets, own[N_FULL : N_FULL + 100], 50) / 2
            step = max(scores, key=lambda step: scores[step])
            if name not in best or scores[step] > best[name][0]:
                best[name] = (scores[step], step, copies, said, rates, params)
    return together, best


def run_fold(parts: Digits, fold: int, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """The bounds of all methods on the two test classes of a fold, a list over supports each."""
    test, validation = (fold, fold + 5), (fold + 1) % 5
    training = [digit for digit in range(10) if digit not in (*test, validation)]
    begun = time.process_time()
    together, best = with_a_past(parts, training, validation, args, seed)
    nets = vae.nets(PAST)
    chosen = max(best, key=lambda name: best[name][0])
    content: dict[str, Any] = {
        "fold": fold,
        "seed": seed,
        "chosen": chosen,
        "validation": {
            name: dict(zip(("bound", "steps", "copies", "rates"), found[:4], strict=True))
            for name, found in best.items()
        },
        "cpu_seconds_meta": round(time.process_time() - begun, 1),
        "classes": {},
    }
    for digit in test:
        # Every seed has images of its own to learn from; those held out follow them.
        order = torch.randperm(N_FULL, generator=generator_of(seed, "support", digit))
        seen = parts.binary[digit][:N_FULL][order]
        held_out = parts.binary[digit][N_FULL : N_FULL + args.held_out]
        scores: dict[str, list[float]] = {"joint, not adapted": [bound(together, nets, held_out, args.draws)]}
        for number in range(N_SUPPORTS):
            support = seen[N_SHOT * number : N_SHOT * (number + 1)]
            for name, (_, step, copies, _, rates, params) in best.items():
                images = with_copies(support, number) if copies else support
                fitted = tuned(params, rates, images, number, (step,))[step]
                found = bound(fitted, nets, held_out, args.draws)
                for label in (name, "meta-learned") if name == chosen else (name,):
                    scores.setdefault(f"{label}, 5 images", []).append(found)
            if number < 2:
                params, own = scratch(support, seed)
                scores.setdefault("scratch, 5 images", []).append(bound(params, own, held_out, args.draws))
        for n_images in (20, 50, N_FULL):
            params, own = scratch(seen[:n_images], seed)
            scores[f"scratch, {n_images} images"] = [bound(params, own, held_out, args.draws)]
        content["classes"][str(digit)] = scores
    return {**content, "cpu_seconds": round(time.process_time() - begun, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--joint-steps", type=int, default=6000)
    parser.add_argument("--meta-steps", type=int, default=60)
    parser.add_argument("--copies", type=int, default=10, help="changed copies of the meta-training images")
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("runs/out/vae_digits"))
    args = parser.parse_args()

    parts, folds = digits(), []
    settings = {name: value for name, value in vars(args).items() if name not in ("out", "seeds")}
    for seed in range(args.seeds):
        for fold in range(5):
            file = args.out / f"fold{fold}_seed{seed}.json"
            if not file.exists():
                write_record(file, {**run_fold(parts, fold, seed, args), "settings": settings})
            folds.append(json.loads(file.read_text()))
            if folds[-1]["settings"] != settings:
                raise SystemExit(f"{file} is of other settings: {folds[-1]['settings']}; choose another --out")
            print(folds[-1], flush=True)
    names = list(folds[0]["classes"]["0"])
    of_class: dict[str, list[float]] = {name: [] for name in names}
    groups = []
    for content in folds:
        for digit, scores in content["classes"].items():
            groups.append(digit)
            for name in names:
                of_class[name].append(sum(scores[name]) / len(scores[name]))
    summary = {name: fs.interval(values, groups) for name, values in of_class.items()}
    print(f"\nbound on log p(x), nats an image, {args.draws} draws; mean and 95 % interval over classes")
    for name, found in sorted(summary.items(), key=lambda item: -item[1].mean):
        difference = fs.paired(of_class["meta-learned, 5 images"], of_class[name], groups)
        print(f"{name:24} {found!s:>28}   meta-learned from 5 images above it by {difference}")
    write_record(args.out / "vae_digits.json", {"summary": {k: v._asdict() for k, v in summary.items()}})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
