"""What takes part in the comparison of the zoo: a learner and a meta-learner from the catalogue, with their settings.

A method stands with a problem only where it applies. Those that read truth in meta-training say so: they have seen
labels that the others have not. Settings of the inner loop are those of each paper or of the log; the outer rate is
chosen for every method alike, on meta-validation.
"""

from typing import Any, NamedTuple

from zoo_problems import N_CLUSTERS, N_FEATURES, TABLE_COLUMNS

Settings = dict[str, Any]


class Method(NamedTuple):
    """A row of the comparison.

    Parameters
    ----------
    learner : (str, dict)
        Name in the catalogue, and settings.
    meta : (str, dict)
        Likewise.
    truth : str
        Name in ``firstsight.losses`` of the outer loss that compares predictions with truth; empty for the
        learner's own loss.
    reads_truth : bool
        Whether meta-training uses labels that an unsupervised method does not see.
    beside : str
        The joint training that it is compared with; empty for none.

    """

    learner: tuple[str, Settings]
    meta: tuple[str, Settings]
    truth: str = ""
    reads_truth: bool = False
    beside: str = "joint"


def of_one_learner(
    learner: tuple[str, Settings], metas: dict[str, tuple[str, Settings]], *, label: str = "", **shared: Any
) -> dict[str, Method]:
    """A learner under several meta-learners; rows are called ``label, meta``."""
    head = f"{label}, " if label else ""
    return {
        f"{head}{name}": Method(learner, meta, beside="" if name == "joint" else f"{head}joint", **shared)
        for name, meta in metas.items()
    }


def exact(learner: tuple[str, Settings], *, label: str, inner_steps: int) -> dict[str, Method]:
    """A learner's exact steps: from a joint start, and towards a meta-learned prior."""
    name, settings = learner
    inner = {"inner": "refine", "inner_steps": inner_steps}
    return {
        f"{label}, joint": Method(learner, ("joint", inner), beside=""),
        f"{label}, maml": Method((name, {**settings, "prior": True}), ("maml", inner), beside=f"{label}, joint"),
    }


NET = ("classifier", {"n_outputs": 1, "target": "value", "hidden": (40, 40)})
FEATURES = ("classifier", {"n_outputs": 64, "target": "value", "hidden": (64,)})
SINUSOIDS = of_one_learner(
    NET,
    {
        "joint": ("joint", {"inner_lr": 0.01, "inner_steps": 5}),
        "maml": ("maml", {"inner_lr": 0.01, "inner_steps": 5}),
        "maml, first order": ("maml", {"inner_lr": 0.01, "inner_steps": 5, "first_order": True}),
        "anil": ("maml", {"inner_lr": 0.01, "inner_steps": 5, "adapted": ("head",)}),
        "meta_sgd": ("meta_sgd", {"inner_lr": 0.01, "inner_steps": 1}),
        "meta_gradient": ("meta_gradient", {"inner_lr": 0.01, "inner_steps": 5}),
        "reptile": ("reptile", {"inner_lr": 0.02, "inner_steps": 16}),
        "imaml": ("imaml", {"inner_lr": 0.01, "inner_steps": 16}),
        "amortized": ("amortized", {"inner_steps": 0}),
        "amortized, 5 steps": ("amortized", {"inner_lr": 0.01, "inner_steps": 5}),
    },
) | {
    "in_context": Method(FEATURES, ("in_context", {"target": "values", "n_outputs": 1})),
    "memory": Method(FEATURES, ("memory", {"target": "values", "n_outputs": 1})),
    "energy, joint": Method(
        ("energy", {"n_features": 1, "n_outputs": 1, "target": "value", "value_range": (-6.0, 6.0), "n_points": 97}),
        ("joint", {"inner_steps": 0}),
    ),
}

KMEANS = {"n_features": N_FEATURES, "n_clusters": N_CLUSTERS}
SOFT = ("kmeans", {**KMEANS, "temperature": 0.2})
CLUSTERING = (
    exact(("kmeans", KMEANS), label="k-means, exact steps", inner_steps=5)
    | of_one_learner(
        SOFT,
        {
            "joint": ("joint", {"inner_lr": 0.5, "inner_steps": 5}),
            "maml": ("maml", {"inner_lr": 0.5, "inner_steps": 5}),
            "meta_sgd": ("meta_sgd", {"inner_lr": 0.5, "inner_steps": 5}),
            "meta_gradient": ("meta_gradient", {"inner_lr": 0.5, "inner_steps": 5}),
            "reptile": ("reptile", {"inner_lr": 0.5, "inner_steps": 5}),
            "imaml": ("imaml", {"inner_lr": 0.5, "inner_steps": 16}),
        },
        label="k-means, gradient",
    )
    | exact(("gmm", {**KMEANS, "covariance": "diagonal"}), label="mixture", inner_steps=10)
    | {
        "amortized, from k-means": Method(
            ("kmeans", KMEANS),
            (
                "amortized",
                {
                    "theta_in": "refine",
                    "snap": ("centroids",),
                    "n_starts": 16,
                    "width": 32,
                    "inner_lr": 0.5,
                    "inner_steps": 1,
                },
            ),
            beside="k-means, gradient, joint",
        ),
        "k-means, truth outside, maml": Method(
            SOFT,
            ("maml", {"inner_lr": 0.5, "inner_steps": 5}),
            truth="soft_adjusted_rand",
            reads_truth=True,
            beside="k-means, gradient, joint",
        ),
        "in_context": Method(
            ("classifier", {"n_features": N_FEATURES, "n_outputs": 64, "hidden": (64,)}),
            ("in_context", {"target": "clusters", "n_outputs": N_CLUSTERS}),
            reads_truth=True,
            beside="k-means, gradient, joint",
        ),
    }
)

WIDE = {"n_features": TABLE_COLUMNS}
DETECTION = (
    of_one_learner(
        ("autoencoder", {**WIDE, "hidden": (32,), "n_code": 3}),
        {
            "joint": ("joint", {"inner_lr": 0.05, "inner_steps": 5}),
            "maml": ("maml", {"inner_lr": 0.05, "inner_steps": 5}),
            "meta_sgd": ("meta_sgd", {"inner_lr": 0.05, "inner_steps": 5}),
            "meta_gradient": ("meta_gradient", {"inner_lr": 0.05, "inner_steps": 5}),
            "reptile": ("reptile", {"inner_lr": 0.05, "inner_steps": 5}),
            "imaml": ("imaml", {"inner_lr": 0.05, "inner_steps": 16}),
            "amortized": ("amortized", {"inner_steps": 0}),
        },
        label="autoencoder",
    )
    | exact(("gmm", {**WIDE, "n_clusters": 3, "covariance": "full"}), label="mixture", inner_steps=10)
    | exact(("ppca", {**WIDE, "n_code": 3}), label="PCA", inner_steps=10)
    | of_one_learner(
        ("vae", {**WIDE, "hidden": (32,), "n_code": 3}),
        {
            "joint": ("joint", {"inner_lr": 0.01, "inner_steps": 5}),
            "maml": ("maml", {"inner_lr": 0.01, "inner_steps": 5}),
        },
        label="VAE",
    )
    | of_one_learner(
        ("svdd", WIDE),
        {
            "joint": ("joint", {"inner_lr": 0.05, "inner_steps": 5}),
            "maml": ("maml", {"inner_lr": 0.05, "inner_steps": 5}),
        },
        label="one-class description",
    )
    | {
        "in_context": Method(
            ("classifier", {**WIDE, "n_outputs": 64, "hidden": (64,)}),
            ("in_context", {"target": "anomalies", "n_outputs": 1}),
            reads_truth=True,
            beside="autoencoder, joint",
        ),
    }
)

CONV = {"body": "conv", "n_filters": 32, "downsample": "stride", "norm": "support"}
CONV5 = ("classifier", {**CONV, "n_outputs": 5})
CONV64 = ("classifier", {**CONV, "n_outputs": 64})
OMNIGLOT = of_one_learner(
    CONV5,
    {
        "joint": ("joint", {"inner_lr": 0.4, "inner_steps": 5}),
        "maml": ("maml", {"inner_lr": 0.4, "inner_steps": 1}),
        "maml, first order": ("maml", {"inner_lr": 0.4, "inner_steps": 1, "first_order": True}),
        "anil": ("maml", {"inner_lr": 0.4, "inner_steps": 1, "adapted": ("head",)}),
        "meta_sgd": ("meta_sgd", {"inner_lr": 0.4, "inner_steps": 1}),
        "meta_gradient": ("meta_gradient", {"inner_lr": 0.4, "inner_steps": 1}),
        "imaml": ("imaml", {"inner_lr": 0.4, "inner_steps": 5}),
        "reptile": ("reptile", {"inner_lr": 0.1, "inner_steps": 5}),
    },
) | {
    "protonet": Method(CONV64, ("protonet", {"n_way": 5})),
    "in_context": Method(CONV64, ("in_context", {"target": "classes", "n_outputs": 5})),
    "memory": Method(CONV64, ("memory", {"target": "classes", "n_outputs": 5})),
}

METHODS: dict[str, dict[str, Method]] = {
    "sinusoids": SINUSOIDS,
    "mixtures": CLUSTERING,
    "contaminated": DETECTION,
    "omniglot": OMNIGLOT,
}
