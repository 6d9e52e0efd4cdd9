"""Peak memory of one second-order meta-batch above the idle process, chunked under the memory limit.

An MLP of a million parameters, 32 tasks of 20 rows, 5 inner steps. Each limit runs in a process of its
own, because a peak cannot be taken back. Linux: reads the peak from /proc.
"""

import argparse
import subprocess
import sys
import time

import torch
from peak import peak_mib

from firstsight import TrainConfig
from firstsight.engine.execute import choose_plan, sum_gradients
from firstsight.learners import classifier
from firstsight.meta import maml
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import leaves, tree_map


def measure(limit_gib: float) -> None:
    learner = classifier.build(classifier.Config(n_features=20, n_outputs=5, hidden=(984, 984)))
    meta = maml.build(maml.Config(inner_steps=5), learner)
    theta = tree_map(lambda leaf: leaf.requires_grad_(), meta.init(generator_of(0)))
    n_parameters = sum(leaf.numel() for leaf in leaves(theta))
    sample = mixtures.build(mixtures.Config(n_features=(20, 20), n_clusters=(5, 5), n_support=10, n_query=10))
    tasks = sample(generator_of(1), 32)
    idle = peak_mib() / 2**10
    config = TrainConfig(backend="vmap", memory_limit_gib=limit_gib, threads=2)
    plan = choose_plan(meta.objective, theta, tasks, config)
    sum_gradients(meta.objective, theta, tasks, plan)
    peak = peak_mib() / 2**10
    start = time.perf_counter()
    sum_gradients(meta.objective, theta, tasks, plan)
    seconds = time.perf_counter() - start
    print(
        f"{n_parameters} parameters, limit {limit_gib} GiB: chunks of {plan.chunk}, "
        f"{peak - idle:.2f} GiB above idle, {32 / seconds:.1f} tasks/s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, help="measure one limit in this process")
    args = parser.parse_args()
    if args.limit is not None:
        measure(args.limit)
        return
    for limit in (0.25, 0.5, 1.0, 8.0):
        subprocess.run([sys.executable, __file__, "--limit", str(limit)], check=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
