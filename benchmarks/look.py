"""Time and peak memory of `firstsight look`, a process each.

    python benchmarks/look.py [--large]

10,000 rows x 20 columns of CSV to a page; with --large, 2,000,000 x 30 of Parquet to a page and a table. Rows are of
six Gaussian clusters, one in two hundred moved away. Memory is the peak of the whole process.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd


def rows(n_rows: int, n_columns: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(6, n_columns))
    X = centres[rng.integers(0, 6, n_rows)] + rng.normal(size=(n_rows, n_columns))
    X[: n_rows // 200] += 4 * rng.normal(size=(n_rows // 200, n_columns))
    return pd.DataFrame(X.round(4)).add_prefix("x")


def measure(arguments: list[str], folder: Path) -> None:
    program = "import sys; from firstsight.cli import main; sys.argv[0] = 'firstsight'; main()"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stderr)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    pages = [path.stat().st_size / 2**20 for path in folder.glob("*.html")]
    print(f"firstsight {' '.join(arguments)}: {seconds:.1f} s, {peak:.2f} GiB, page {pages[0]:.2f} MiB")
    print("  " + done.stdout.splitlines()[1], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true")
    large = parser.parse_args().large
    with tempfile.TemporaryDirectory() as name:
        rows(10_000, 20).to_csv(Path(name) / "small.csv", index=False)
        measure(["look", "small.csv"], Path(name))
    if large:
        with tempfile.TemporaryDirectory() as name:
            rows(2_000_000, 30).to_parquet(Path(name) / "large.parquet")
            measure(["look", "large.parquet", "--out-table", "rows.parquet"], Path(name))


if __name__ == "__main__":
    main()
