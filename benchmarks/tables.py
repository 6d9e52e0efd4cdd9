"""A family of 500 CSV files of 1,000 x 20: seconds to index it, and tasks a second that are sampled from it.

Indexing is what meta-train does before it trains: read, compare rows, split, decide what columns are, turn
tables into numbers, standardise. The peer is pandas reading the same files with nothing checked.
"""

import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from firstsight.columns.encode import encode, learn_columns
from firstsight.datasets.rows import row_hashes
from firstsight.family.read import Config, read_family, split_family
from firstsight.seeds import generator_of
from firstsight.tasks import tables

N_TABLES, N_ROWS, N_COLUMNS = 500, 1000, 20


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rng = np.random.default_rng(0)
        for number in range(N_TABLES):
            table = pd.DataFrame(rng.normal(size=(N_ROWS, N_COLUMNS)), columns=[f"c{i}" for i in range(N_COLUMNS)])
            table.round(6).to_csv(folder / f"table{number:03}.csv", index=False)
        began = time.perf_counter()
        for path in sorted(folder.iterdir()):
            pd.read_csv(path)
        plain = time.perf_counter() - began

        marks = [("", time.perf_counter())]
        frames = read_family(folder, Config())
        marks.append(("read", time.perf_counter()))
        hashes = [row_hashes(frame) for frame in frames.values()]
        training, _, _ = split_family(list(frames), hashes, Config(), seed=0)
        marks.append(("compare and split", time.perf_counter()))
        columns = learn_columns({name: frames[name] for name in training})
        matrices = {name: torch.from_numpy(encode(columns, frame, name)) for name, frame in frames.items()}
        marks.append(("decide and encode", time.perf_counter()))
        sample = tables.build(tables.Config(n_support=24, n_query=64), [matrices[name] for name in training])
        marks.append(("standardise", time.perf_counter()))

    for (_, before), (name, after) in itertools.pairwise(marks):
        print(f"{name:18} {after - before:6.2f} s")
    total = marks[-1][1] - marks[0][1]
    print(f"{'indexed in':18} {total:6.2f} s; pandas alone reads in {plain:.2f} s; ratio {total / plain:.1f}")
    for meta_batch in (16, 64, 256):
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < 2:
            sample(generator_of(0, count), meta_batch)
            count += 1
        print(f"meta-batch {meta_batch:3}: {count * meta_batch / (time.perf_counter() - began):,.0f} tasks/s sampled")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
