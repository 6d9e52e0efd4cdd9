"""Peak memory of one meta-batch above the idle process, by inner steps: implicit MAML beside second-order MAML.

An MLP of 125,000 parameters, 8 tasks of 20 rows at once. Each measurement runs in a process of its own, because a
peak cannot be taken back. Linux: reads the peak from /proc.
"""

import argparse
import subprocess
import sys
import time

import torch
from peak import peak_mib

from firstsight import Plan
from firstsight.engine.execute import sum_gradients
from firstsight.learners import classifier
from firstsight.meta import imaml, maml
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import leaves, tree_map

N_TASKS = 8


def measure(method: str, inner_steps: int) -> None:
    learner = classifier.build(classifier.Config(n_features=20, n_outputs=5, hidden=(340, 340)))
    meta = {
        "imaml": imaml.build(imaml.Config(inner_steps=inner_steps), learner),
        "maml": maml.build(maml.Config(inner_steps=inner_steps), learner),
    }[method]
    theta = tree_map(lambda leaf: leaf.requires_grad_(), meta.init(generator_of(0)))
    sample = mixtures.build(mixtures.Config(n_features=(20, 20), n_clusters=(5, 5), n_support=10, n_query=10))
    tasks = sample(generator_of(1), N_TASKS)
    plan = Plan(chunk=N_TASKS)
    # What torch sets up once belongs to the idle process.
    start_up = imaml.build(imaml.Config(inner_steps=1), classifier.build(classifier.Config(n_features=20, n_outputs=5)))
    small = tree_map(lambda leaf: leaf.requires_grad_(), start_up.init(generator_of(0)))
    sum_gradients(start_up.objective, small, tasks, plan)
    idle, began = peak_mib(), time.process_time()
    sum_gradients(meta.objective, theta, tasks, plan)
    seconds = time.process_time() - began
    n_parameters = sum(leaf.numel() for leaf in leaves(theta))
    print(
        f"{method:6} {n_parameters} parameters, {inner_steps:3} inner steps: "
        f"{peak_mib() - idle:8.0f} MiB above idle, {seconds:6.2f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=["imaml", "maml"], help="measure one method in this process")
    parser.add_argument("--inner-steps", type=int, default=1)
    args = parser.parse_args()
    if args.method is not None:
        measure(args.method, args.inner_steps)
        return
    for method in ("imaml", "maml"):
        for inner_steps in (1, 4, 16, 64):
            command = [sys.executable, __file__, "--method", method, "--inner-steps", str(inner_steps)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
