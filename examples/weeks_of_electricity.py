"""A new week, 24 half-hours of it: what earlier weeks teach about prices and demand of electricity.

elec2 holds half-hours of two Australian states. Cut into weeks, early ones are for meta-training, the next ten
for meta-validation, the last 32 for the test. Each late week gives 24 of its half-hours; others of it,
held out, are scored: by the squared distance to the nearest of eight centroids, and by the error of an
autoencoder with two numbers a row. Beside it: the same learner from scratch, on the same 24 half-hours and on all
269 of the week that are not held out. Columns become normal scores of early weeks, as prices have spikes; k-means
sees them in units of the 24 rows, for weeks differ in level. The past is worth a little to k-means and much to the
autoencoder, and neither comes near the whole week: held-out half-hours lie between others of the same day.
"""

import torch
from sklearn.preprocessing import QuantileTransformer

import firstsight as fs
from firstsight import datasets
from firstsight.engine.scratch import from_scratch
from firstsight.learners import autoencoder, kmeans
from firstsight.meta import maml
from firstsight.seeds import generator_of
from firstsight.tasks import tables

WEEK, HELD_OUT, SEEN = 7 * 48, 67, 24
FIRST = 52  # before it, the second state is not recorded yet
LATE = 32


def read_weeks() -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
    """Early, middle and late weeks, each of shape (336, 6), as normal scores of the early ones."""
    half_hours = datasets.load_elec2().X.to_numpy()
    weeks = [half_hours[start : start + WEEK] for start in range(0, len(half_hours) - WEEK + 1, WEEK)][FIRST:]
    n_early = len(weeks) - 10 - LATE
    early = half_hours[FIRST * WEEK : (FIRST + n_early) * WEEK]
    to_scores = QuantileTransformer(n_quantiles=500, output_distribution="normal").fit(early)
    scores = [torch.from_numpy(to_scores.transform(week)).clamp(-3.5, 3.5) for week in weeks]
    return scores[:n_early], scores[n_early:-LATE], scores[-LATE:]


def compare(
    learner: fs.Learner,
    meta: fs.MetaLearner,
    theta: object,
    late: list[torch.Tensor],
    scale: str,
    family: tables.Scaling,
) -> None:
    """Print the held-out loss of late weeks, and paired differences over weeks."""
    config = tables.Config(scale=scale)
    losses: dict[str, list[float]] = {"earlier weeks and 24": [], "from scratch on 24": [], "from scratch on 269": []}
    for number, week in enumerate(late):
        rows = week[torch.randperm(WEEK, generator=generator_of(0, "late", number))]
        X = tables.standardised(rows, rows[:SEEN], config, family)
        seen, rest, held = fs.Data(X[:SEEN]), fs.Data(X[:-HELD_OUT]), fs.Data(X[-HELD_OUT:])
        states = (
            meta.adapt(theta, seen),
            from_scratch(learner, seen, seed=number),
            from_scratch(learner, rest, seed=number, n_steps=1000),
        )
        for of_method, state in zip(losses.values(), states, strict=True):
            of_method.append(float(learner.loss(state, held)))
    ours = losses["earlier weeks and 24"]
    for method, values in losses.items():
        difference = "" if values is ours else f"; earlier weeks and 24 minus this: {fs.paired(ours, values)}"
        print(f"  {method:21} {fs.interval(values)}{difference}")


def main(steps: int = 1500) -> None:
    early, middle, late = read_weeks()
    late = late[: max(2, min(LATE, steps // 10))]
    clusters = kmeans.build(kmeans.Config(n_features=6, n_clusters=8, prior=True))
    codes = autoencoder.build(autoencoder.Config(n_features=6, n_code=2, hidden=(32,), activation="tanh"))
    family = tables.scaling_of(torch.cat(early))
    for name, learner, inner, rate, scale in (
        ("clusters", clusters, maml.Config(inner="refine", inner_steps=5), 0.03, "task"),
        ("codes", codes, maml.Config(inner_lr=0.1, inner_steps=5), 0.005, "none"),
    ):
        tasks = tables.Config(n_support=SEEN, n_query=128, scale=scale)
        training, validation = (tables.build(tasks, weeks, scaling=family) for weeks in (early, middle))
        pooled = training(generator_of(0, "pool"), 64).support.X.flatten(0, 1)
        start = None if learner.start is None else from_scratch(learner, fs.Data(pooled))
        config = fs.TrainConfig(
            steps=steps, outer_lr=rate, schedule="cosine", validate_every=50, clip_norm=1.0, backend="vmap", chunk=16
        )
        meta = maml.build(inner, learner)
        trained = fs.meta_train(meta, training, config, validate=validation, start=start)
        theta = fs.last(trained, total=steps, label=name).info.best_theta
        print(f"{name}: loss on held-out half-hours of {len(late)} late weeks")
        compare(learner, meta, theta, late, scale, family)


if __name__ == "__main__":
    main()
