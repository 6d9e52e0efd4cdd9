"""A new week, 24 half-hours of it: what earlier weeks teach about prices and demand of electricity.

elec2 holds half-hours of two Australian states. Cut into weeks, early ones are for meta-training, the next ten
for meta-validation, the last 32 for the test. Each late week gives 24 of its half-hours; others of it,
held out, are scored: by the squared distance to the nearest of eight centroids, and by the error of an
autoencoder with three numbers a row. Beside it: the same learner from scratch, on the same 24 half-hours and on all
269 of the week that are not held out. Columns become normal scores of early weeks, as prices have spikes.
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


def compare(name: str, learner: fs.Learner, meta: fs.MetaLearner, theta: object, late: list[torch.Tensor]) -> None:
    """Print the held-out loss of late weeks, and paired differences over weeks."""
    losses: dict[str, list[float]] = {"earlier weeks and 24": [], "from scratch on 24": [], "from scratch on 269": []}
    for number, week in enumerate(late):
        rows = week[torch.randperm(WEEK, generator=generator_of(0, "late", number))].float()
        held, rest = fs.Data(rows[:HELD_OUT]), rows[HELD_OUT:]
        states = (
            meta.adapt(theta, fs.Data(rest[:SEEN])),
            from_scratch(learner, fs.Data(rest[:SEEN]), seed=number),
            from_scratch(learner, fs.Data(rest), seed=number),
        )
        for of_method, state in zip(losses.values(), states, strict=True):
            of_method.append(float(learner.loss(state, held)))
    print(f"{name}, loss on held-out half-hours of {len(late)} late weeks")
    ours = losses["earlier weeks and 24"]
    for method, values in losses.items():
        difference = "" if values is ours else f"  earlier weeks and 24 minus this: {fs.paired(ours, values)}"
        print(f"  {method:21} {fs.interval(values)}{difference}")


def main(steps: int = 3000) -> None:
    early, middle, late = read_weeks()
    late = late[: max(2, min(LATE, steps // 10))]
    tasks = tables.Config(n_support=SEEN, n_query=128, scale="none")
    training, validation = tables.build(tasks, early), tables.build(tasks, middle)

    clusters = kmeans.build(kmeans.Config(n_features=6, n_clusters=8, prior=True))
    codes = autoencoder.build(autoencoder.Config(n_features=6, n_code=3, hidden=(64, 64), activation="tanh"))
    pooled = from_scratch(clusters, fs.Data(torch.cat(early)[::10].float()))
    for name, learner, inner, rate, start, share in (
        ("clusters", clusters, maml.Config(inner="refine", inner_steps=5), 0.03, pooled, 10),
        ("autoencoder", codes, maml.Config(inner_lr=0.05, inner_steps=5, first_order=True), 0.003, None, 1),
    ):
        config = fs.TrainConfig(
            steps=max(1, steps // share), outer_lr=rate, schedule="cosine", validate_every=50, backend="vmap", chunk=16
        )
        meta = maml.build(inner, learner)
        trained = fs.meta_train(meta, training, config, validate=validation, start=start)
        theta = fs.last(trained, total=config.steps, label=name).info.best_theta
        compare(name, learner, meta, theta, late)


if __name__ == "__main__":
    main()
