"""Characters of alphabets never seen, from one drawing each.

First-order MAML meta-trains four convolutional blocks on 5-way 1-shot tasks of Omniglot's training characters;
then it meets characters of the test part. Reads the data set from the mirror folder in FIRSTSIGHT_DATA_MIRROR,
or downloads it. It takes some minutes; ``runs/omniglot_maml.sh`` compares methods, and ``benchmarks/LOG.md`` has
what they reach.
"""

import torch

import firstsight as fs
from firstsight import datasets, losses
from firstsight.learners import classifier
from firstsight.meta import maml
from firstsight.tasks import episodes


def tasks_of(part: str) -> fs.Sample:
    """5-way 1-shot tasks of one part of the characters, 5 queries a class; turned characters are other classes."""
    images = datasets.load_omniglot(part=part)
    X, y = torch.from_numpy(images.X), torch.from_numpy(images.y)
    return episodes.build(episodes.Config(n_way=5, n_shot=1, n_query=5), X, y)


def accuracy(scores: torch.Tensor, query: fs.Data) -> float:
    return float((scores.argmax(1) == query.y).float().mean())


def main(steps: int = 600) -> None:
    # norm="support": a drawing is judged by the statistics of the five examples, never of the other queries.
    learner = classifier.build(classifier.Config(body="conv", norm="support", downsample="stride", n_outputs=5))
    meta = maml.build(
        maml.Config(inner_lr=0.1, inner_steps=1, first_order=True),
        learner,
        losses.on_query(losses.cross_entropy, learner),
    )
    config = fs.TrainConfig(
        steps=steps,
        meta_batch=16,
        outer_lr=3e-3,
        schedule="cosine",
        validate_every=max(1, steps // 5),
        backend="threads",
    )
    trained = fs.last(
        fs.meta_train(meta, tasks_of("train"), config, validate=tasks_of("validation")), total=steps, label="meta-train"
    )
    test = tasks_of("test")
    before = maml.build(maml.Config(inner_lr=0.1, inner_steps=0), learner)
    for name, method in (("adapted to one drawing a class", meta), ("not adapted", before)):
        result = fs.meta_test(
            method, trained.info.best_theta, test, n_tasks=100, metrics={"accuracy": accuracy}, plan=trained.info.plan
        )
        print(f"{name}: accuracy {result.summary['accuracy']} over {len(result.rows)} tasks of unseen characters")


if __name__ == "__main__":
    main()
