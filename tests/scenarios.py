"""Small known situations for every catalogue entry and skeleton, which the contract tests iterate over.

A new learner, meta-learner or task distribution is tested by one entry in a table here.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import skeletons.learner
import skeletons.meta_learner
import skeletons.task_distribution
import torch

from firstsight import catalogue, losses
from firstsight.augment import images
from firstsight.core import Learner, MetaLearner, Sample, Task
from firstsight.tasks import augmented, episodes, mixtures, neighbours, pseudo_labels, sinusoids, tables
from firstsight.tasks.noise import with_noise


class LearnerScenario(NamedTuple):
    """A learner with tasks it should get better at.

    ``inner`` says which inner loop trains all of its leaves; ``outer`` is a supervised outer loss; ``embeds``
    whether its predictions, made by all of its leaves, can be a space for the prototypes of labelled classes.
    """

    entry: catalogue.Entry
    settings: dict[str, Any]
    sample: Sample
    inner: str = "gradient"
    outer: Callable[..., torch.Tensor] | None = None
    embeds: bool = False


def _images(n_classes: int = 4, n_rows: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n_classes).repeat_interleave(n_rows)
    pattern = torch.randn(n_classes, 1, 6, 6, generator=generator)
    return pattern[y] + 0.5 * torch.randn(len(y), 1, 6, 6, generator=generator), y


def _as_images(generator: torch.Generator, n_tasks: int, *, sample: Sample) -> Task:
    """Rows of 64 columns as images of 8 x 8 pixels."""
    tasks = sample(generator, n_tasks)
    return Task(*(part._replace(X=part.X.unflatten(2, (1, 8, 8))) for part in tasks))


def _as_shares(generator: torch.Generator, n_tasks: int, *, sample: Sample) -> Task:
    """Columns squeezed to between 0 and 1."""
    tasks = sample(generator, n_tasks)
    return Task(*(part._replace(X=(2 * part.X).sigmoid()) for part in tasks))


FAMILY = mixtures.Config(n_features=(3, 3), n_clusters=(4, 4), shared=0.9, n_support=12, n_query=10)
MIXTURES = mixtures.build(FAMILY)
EPISODES = episodes.build(episodes.Config(n_way=3, n_shot=2, n_query=3), *_images())
PIXELS = mixtures.build(replace(FAMILY, n_features=(16, 16), within=(1.0, 1.0)))
IMAGES = partial(_as_images, sample=mixtures.build(replace(FAMILY, n_features=(64, 64))))

LEARNERS = {
    "kmeans": LearnerScenario(catalogue.LEARNERS["kmeans"], {"n_features": 3, "n_clusters": 4}, MIXTURES),
    "kmeans soft": LearnerScenario(
        catalogue.LEARNERS["kmeans"], {"n_features": 3, "n_clusters": 4, "temperature": 0.5}, MIXTURES
    ),
    "kmeans prior": LearnerScenario(
        catalogue.LEARNERS["kmeans"], {"n_features": 3, "n_clusters": 4, "prior": True}, MIXTURES, inner="refine"
    ),
    "kmeans supervised": LearnerScenario(
        catalogue.LEARNERS["kmeans"], {"n_features": 3, "n_clusters": 4}, MIXTURES, outer=losses.soft_adjusted_rand
    ),
    "autoencoder": LearnerScenario(catalogue.LEARNERS["autoencoder"], {"n_features": 3, "hidden": (8,)}, MIXTURES),
    "autoencoder denoising": LearnerScenario(
        catalogue.LEARNERS["autoencoder"], {"n_features": 3, "hidden": (8,), "corruption": 0.3, "n_draws": 2}, MIXTURES
    ),
    "classifier": LearnerScenario(
        catalogue.LEARNERS["classifier"], {"n_features": 3, "n_outputs": 4, "hidden": (8,)}, MIXTURES, embeds=True
    ),
    "classifier linear": LearnerScenario(
        catalogue.LEARNERS["classifier"],
        {"n_features": 3, "n_outputs": 4, "body": "linear"},
        MIXTURES,
        outer=losses.misclassified_cross_entropy,
    ),
    "classifier conv": LearnerScenario(
        catalogue.LEARNERS["classifier"],
        {"n_features": 1, "n_outputs": 4, "body": "conv", "image_size": 8, "n_filters": 8},
        IMAGES,
        embeds=True,
    ),
    **{
        f"classifier normalised by {norm}": LearnerScenario(
            catalogue.LEARNERS["classifier"],
            {"n_outputs": 4, "body": "conv", "image_size": 8, "n_filters": 8, "norm": norm, "downsample": "stride"},
            IMAGES,
            embeds=True,
        )
        for norm in ("support", "query")
    },
    "contrastive": LearnerScenario(
        catalogue.LEARNERS["contrastive"], {"image_size": 4, "strength": 0.3, "learned_views": True}, PIXELS
    ),
    "contrastive fixed views": LearnerScenario(
        catalogue.LEARNERS["contrastive"], {"image_size": 4, "strength": 0.6, "temperature": 0.1}, PIXELS
    ),
    "gmm": LearnerScenario(catalogue.LEARNERS["gmm"], {"n_features": 3, "n_clusters": 4}, MIXTURES),
    **{
        f"gmm {covariance}": LearnerScenario(
            catalogue.LEARNERS["gmm"], {"n_features": 3, "n_clusters": 4, "covariance": covariance}, MIXTURES
        )
        for covariance in ("diagonal", "tied")
    },
    **{
        f"gmm {covariance} prior": LearnerScenario(
            catalogue.LEARNERS["gmm"],
            {"n_features": 3, "n_clusters": 4, "covariance": covariance, "prior": True},
            MIXTURES,
            inner="refine",
        )
        for covariance in ("full", "diagonal", "tied")
    },
    "ppca": LearnerScenario(catalogue.LEARNERS["ppca"], {"n_features": 3, "n_code": 2}, MIXTURES),
    "ppca prior": LearnerScenario(
        catalogue.LEARNERS["ppca"], {"n_features": 3, "n_code": 2, "prior": True}, MIXTURES, inner="refine"
    ),
    "som": LearnerScenario(catalogue.LEARNERS["som"], {"n_features": 3, "grid": (3, 4)}, MIXTURES),
    "som schedule": LearnerScenario(
        catalogue.LEARNERS["som"],
        {"n_features": 3, "grid": (3, 4), "learned_schedule": True},
        MIXTURES,
        inner="refine",
    ),
    "som prior": LearnerScenario(
        catalogue.LEARNERS["som"],
        {"n_features": 3, "grid": (3, 4), "learned_schedule": True, "prior": True},
        MIXTURES,
        inner="refine",
    ),
    "svdd": LearnerScenario(catalogue.LEARNERS["svdd"], {"n_features": 3, "hidden": (8,), "n_code": 4}, MIXTURES),
    "energy": LearnerScenario(
        catalogue.LEARNERS["energy"], {"n_features": 3, "n_outputs": 4, "n_task": 4, "hidden": (8,)}, MIXTURES
    ),
    "energy of values": LearnerScenario(
        catalogue.LEARNERS["energy"],
        {"target": "value", "n_outputs": 1, "hidden": (8,), "value_range": (-6.0, 6.0), "n_points": 24},
        sinusoids.build(sinusoids.Config(n_support=5, n_query=6)),
    ),
    "vae": LearnerScenario(catalogue.LEARNERS["vae"], {"n_features": 3, "hidden": (8,), "n_draws": 2}, MIXTURES),
    "vae of shares": LearnerScenario(
        catalogue.LEARNERS["vae"],
        {"n_features": 3, "hidden": (8,), "n_draws": 2, "decoder": "bernoulli", "prior": "learned"},
        partial(_as_shares, sample=MIXTURES),
    ),
    "skeleton": LearnerScenario(
        catalogue.Entry(skeletons.learner.Config, skeletons.learner.build, "to copy"),
        {"n_features": 3, "n_clusters": 4},
        MIXTURES,
    ),
    "regression": LearnerScenario(
        catalogue.LEARNERS["classifier"],
        {"n_outputs": 1, "target": "value", "hidden": (8, 8), "activation": "tanh"},
        sinusoids.build(sinusoids.Config(n_support=5, n_query=6)),
    ),
}

META_LEARNERS: dict[str, tuple[catalogue.Entry, dict[str, Any]]] = {
    "maml": (catalogue.META_LEARNERS["maml"], {"inner_lr": 0.05, "inner_steps": 2}),
    "maml first order": (catalogue.META_LEARNERS["maml"], {"inner_lr": 0.05, "inner_steps": 2, "first_order": True}),
    "maml exact step": (catalogue.META_LEARNERS["maml"], {"inner": "refine", "inner_steps": 2}),
    "meta_sgd": (catalogue.META_LEARNERS["meta_sgd"], {"inner_lr": 0.05}),
    "meta_sgd per leaf": (
        catalogue.META_LEARNERS["meta_sgd"],
        {"inner_lr": 0.05, "inner_steps": 2, "rates": "leaf", "first_order": True},
    ),
    "reptile": (catalogue.META_LEARNERS["reptile"], {"inner_lr": 0.05, "inner_steps": 3}),
    "skeleton": (
        catalogue.Entry(skeletons.meta_learner.Config, skeletons.meta_learner.build, "to copy"),
        {"inner_lr": 0.05},
    ),
    "amortized": (catalogue.META_LEARNERS["amortized"], {"width": 16, "n_heads": 2, "n_blocks": 1, "inner_lr": 0.05}),
    "amortized from exact steps": (
        catalogue.META_LEARNERS["amortized"],
        {
            "theta_in": "refine",
            "snap": ("centroids",),
            "n_starts": 3,
            "width": 16,
            "objective": "after",
            "inner_lr": 0.05,
        },
    ),
    "amortized exact step": (
        catalogue.META_LEARNERS["amortized"],
        {"theta_in": "refine", "width": 16, "n_heads": 2, "n_blocks": 1, "inner": "refine"},
    ),
    "amortized alone": (
        catalogue.META_LEARNERS["amortized"],
        {"theta_in": "none", "width": 16, "n_heads": 2, "objective": "zero", "standardise": True},
    ),
    "joint": (catalogue.META_LEARNERS["joint"], {"inner_lr": 0.05}),
    "imaml": (catalogue.META_LEARNERS["imaml"], {"inner_lr": 0.05, "inner_steps": 8, "proximal": 2.0, "cg_steps": 3}),
    "meta_gradient": (catalogue.META_LEARNERS["meta_gradient"], {"inner_lr": 0.05, "inner_steps": 2}),
    "meta_gradient unconditioned": (
        catalogue.META_LEARNERS["meta_gradient"],
        {"inner_lr": 0.05, "inner_steps": 3, "conditioned": False, "first_order": True},
    ),
    "protonet": (catalogue.META_LEARNERS["protonet"], {"n_way": 4}),
    "protonet cosine": (
        catalogue.META_LEARNERS["protonet"],
        {"n_way": 4, "distance": "cosine", "temperature": 0.2},
    ),
    "in_context": (
        catalogue.META_LEARNERS["in_context"],
        {"target": "classes", "n_outputs": 4, "width": 16, "n_heads": 2, "n_blocks": 2},
    ),
    **{
        f"in_context {target}": (
            catalogue.META_LEARNERS["in_context"],
            {"target": target, "n_outputs": n_outputs, "width": 16, "n_heads": 2, "n_blocks": 1},
        )
        for target, n_outputs in (("clusters", 5), ("values", 1), ("anomalies", 1), ("density", 5))
    },
    "memory": (catalogue.META_LEARNERS["memory"], {"n_outputs": 4, "width": 16, "n_heads": 2, "n_reads": 1}),
    **{
        f"memory {target}": (
            catalogue.META_LEARNERS["memory"],
            {"target": target, "n_outputs": n_outputs, "width": 16, "n_heads": 2, "n_reads": 1},
        )
        for target, n_outputs in (("clusters", 5), ("values", 1), ("anomalies", 1))
    },
}


def _tables() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        3.0 * torch.randn(1, 3, generator=generator) + torch.randn(n_rows, 3, generator=generator)
        for n_rows in (12, 30, 200)
    ]


def _turned(generator: torch.Generator, X: torch.Tensor) -> torch.Tensor:
    return images.augment(generator, X, images.Config(rotation=30.0))


def _embedded() -> torch.Tensor:
    return _images()[0].flatten(1)


TASKS: dict[str, Sample] = {
    "augmented": augmented.build(augmented.Config(n_way=4, n_shot=2, n_query=3), _images()[0], _turned),
    "neighbours": neighbours.build(
        neighbours.Config(n_way=2, n_shot=2, n_query=2),
        _images()[0],
        _embedded(),
        generator=torch.Generator().manual_seed(0),
    ),
    "pseudo_labels": pseudo_labels.build(
        pseudo_labels.Config(n_way=3, n_shot=2, n_query=2, n_clusters=4, n_partitions=2), _images()[0], _embedded()
    ),
    "tables": tables.build(tables.Config(n_support=5, n_query=7), _tables()),
    **{
        f"tables, scale {scale}": tables.build(tables.Config(n_support=5, n_query=7, scale=scale), _tables())
        for scale in ("task", "none")
    },
    "episodes": EPISODES,
    "mixtures": mixtures.build(
        mixtures.Config(
            n_features=(1, 4), n_clusters=(1, 5), covariance="full", imbalance=(1, 9), within=(0.1, 0.5), n_support=8
        )
    ),
    "mixtures diagonal": mixtures.build(mixtures.Config(covariance="diagonal", shared=0.5)),
    "sinusoids": sinusoids.build(sinusoids.Config()),
    "skeleton": skeletons.task_distribution.build(skeletons.task_distribution.Config()),
    "pool": episodes.pool(_images()[0], n_support=5, n_query=4),
}


def build_learner(name: str) -> Learner:
    scenario = LEARNERS[name]
    learner: Learner = scenario.entry.build(scenario.entry.config(**scenario.settings))
    return learner


def tasks_of(name: str) -> Sample:
    return with_noise(LEARNERS[name].sample, build_learner(name).noise)


def build_meta(meta_name: str, learner_name: str) -> MetaLearner:
    entry, settings = META_LEARNERS[meta_name]
    learner, outer = build_learner(learner_name), LEARNERS[learner_name].outer
    outer_loss = None if outer is None else losses.on_query(outer, learner)
    meta: MetaLearner = entry.build(entry.config(**settings), learner, outer_loss)
    return meta


def pairs() -> list[tuple[str, str]]:
    """Every meta-learner with every learner that it can train, once; other settings of either with the first that fits.

    The first scenario of a catalogue entry stands for it; crossing all settings with each other would say the same
    many times over.
    """
    fitting = [
        (meta_name, learner_name)
        for meta_name in META_LEARNERS
        for learner_name in LEARNERS
        if _fits(META_LEARNERS[meta_name], LEARNERS[learner_name])
    ]
    metas = _firsts({name: entry for name, (entry, _) in META_LEARNERS.items()})
    learners = _firsts({name: scenario.entry for name, scenario in LEARNERS.items()})
    chosen = [pair for pair in fitting if pair[0] in metas and pair[1] in learners]
    for pair in fitting:
        known = {name for other in chosen if _takes(other) == _takes(pair) for name in other}
        if pair[0] not in known or pair[1] not in known:
            chosen.append(pair)
    return chosen


def _takes(pair: tuple[str, str]) -> str:
    """What the meta-learner takes the learner for."""
    return META_LEARNERS[pair[0]][0].takes


def _fits(meta: tuple[catalogue.Entry, dict[str, Any]], scenario: LearnerScenario) -> bool:
    entry, settings = meta
    if entry.takes == "embedding":
        return scenario.embeds
    return bool(settings.get("inner", "gradient") == scenario.inner)


def _firsts(entries: dict[str, catalogue.Entry]) -> set[str]:
    """The first name of each entry."""
    found: dict[Any, str] = {}
    for name, entry in entries.items():
        found.setdefault(entry.config, name)
    return set(found.values())
