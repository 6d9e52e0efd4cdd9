"""A family of tables teaches k-means where centres usually lie, and how far to trust that.

Shops of one kind have customers in the same five groups, each shop a few. A new shop opens: 20 rows.
Here the shops are drawn from a mixture family; with tables of your own, write a task distribution like
the one in ``skeletons/task_distribution.py``.
"""

from sklearn.cluster import KMeans

import firstsight as fs
from firstsight.learners import kmeans
from firstsight.meta import maml
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import index


def main(steps: int = 600) -> None:
    shops = mixtures.build(
        mixtures.Config(n_features=(8, 8), n_clusters=(5, 5), within=(0.5, 0.5), shared=0.9975, n_support=20)
    )
    learner = kmeans.build(kmeans.Config(n_features=8, n_clusters=5, prior=True))
    meta = maml.build(maml.Config(inner="refine", inner_steps=5), learner)
    config = fs.TrainConfig(steps=steps, meta_batch=64, outer_lr=0.1, schedule="cosine")
    # Begin at the centres of the pooled rows: a random start may put two where one belongs.
    pooled = shops(generator_of(0, "pool"), 60).support.X.flatten(0, 1)
    centres = KMeans(5, n_init=10, random_state=0).fit(pooled.numpy()).cluster_centers_
    start = {"centroids": pooled.new_tensor(centres), "log_lambda": pooled.new_zeros(())}
    theta = fs.last(fs.meta_train(meta, shops, config, start=start), total=steps).theta
    print(f"the past is worth {float(theta['log_lambda'].exp()):.0f} rows a cluster")

    ours, scratch = [], []
    new_shops = shops(generator_of(1, "new shops"), 50)
    for i in range(50):
        support, query = index(new_shops, i)
        ours.append(float(learner.loss(fs.adapt(meta, theta, support.X), query)))
        fitted = KMeans(5, n_init=10, random_state=0).fit(support.X.numpy())
        scratch.append(float(learner.loss({"centroids": support.X.new_tensor(fitted.cluster_centers_)}, query)))
    print(f"squared distance to the centre on new rows: prior {fs.interval(ours)}, from scratch {fs.interval(scratch)}")
    print(f"difference {fs.paired(ours, scratch)}")


if __name__ == "__main__":
    main()
