"""Meta-SGD on sinusoids with a torch module of your own, checkpointed: stop it, and it goes on where it was.

The regression tasks of the MAML paper (arXiv:1703.03400): ten rows of a sine wave of unknown
amplitude and phase, then predict the rest.
"""

import tempfile
from pathlib import Path

from torch import nn

import firstsight as fs
from firstsight.learners.classifier import from_module
from firstsight.meta import meta_sgd
from firstsight.tasks import sinusoids


def main(steps: int = 2000, folder: Path | None = None) -> None:
    net = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
    learner = from_module(net, target="value", row_shape=(1,))
    meta = meta_sgd.build(meta_sgd.Config(inner_lr=0.01, inner_steps=1), learner)
    waves = sinusoids.build(sinusoids.Config(n_support=10))
    config = fs.TrainConfig(steps=steps, meta_batch=25, outer_lr=1e-3, validate_every=max(1, steps // 10))
    folder = folder or Path(tempfile.mkdtemp())
    run = fs.meta_train(meta, waves, config, validate=waves, directory=folder, about={"net": "40-40 tanh"})
    best = fs.last(run, total=steps).info
    result = fs.meta_test(meta, best.best_theta, waves, n_tasks=500, seed=1)
    print(f"squared error after one step on ten rows: {result.summary['query_loss']} (step {best.best_step})")


if __name__ == "__main__":
    main(folder=Path("sinusoid-run"))
