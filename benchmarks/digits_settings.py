"""The demo's "settings by hand": a grid over strength and temperature, on meta-validation classes alone.

Nothing is meta-trained. Each setting adapts to 2-way tasks of the meta-validation classes of twelve class
splits, and is scored on their labels; the demo's own splits are others, of the same ten digits.
"""

import numpy as np
import torch

from firstsight import demo
from firstsight.engine.evaluate import interval
from firstsight.engine.execute import map_tasks
from firstsight.learners import contrastive
from firstsight.meta import maml
from firstsight.seeds import generator_of
from firstsight.tasks import episodes
from firstsight.tasks.noise import with_noise


def main() -> None:
    _, y = demo.digits()
    config = demo.Config()
    print("strength  temperature  adjusted Rand index on meta-validation classes")
    for strength in (0.2, 0.35, 0.5, 0.7, 1.0):
        for temperature in (0.3, 1.0):
            learner = contrastive.build(contrastive.Config(image_size=8, strength=strength, temperature=temperature))
            meta = maml.build(demo.ADAPT, learner)
            means = []
            for split in range(12):
                validation = episodes.split_classes(y, (5, 2, 3), seed=10_000 + split)[1]
                sample = with_noise(demo.tasks_of(validation, config, n_way=2), learner.noise)
                tasks = sample(generator_of(split, "grid"), 25)
                theta = meta.init(generator_of(0))
                places = map_tasks(
                    lambda theta, task, meta=meta: demo.embedded(theta, task, meta=meta), theta, tasks, demo.PLAN
                )
                means.append(float(np.mean(demo.scored(tasks, *places)["ari"])))
            print(f"{strength:8} {temperature:12}  {interval(means)}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
