"""What ``Clusterer.meta_fit`` gains on tables like a user's past ones, and what it costs on others.

Past tables: KEEL's of half of its families. Tables like them: KEEL's of the other half. Others: Gagolewski's suite.

    python benchmarks/clustering_meta_fit.py
"""

import argparse
import warnings
import zlib

import numpy as np
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from firstsight import Clusterer, datasets
from firstsight.datasets.partitions import Partitioned
from firstsight.engine.evaluate import interval, paired


def drawn(name: str, rows: int) -> Partitioned:
    table = datasets.load_partitions(name)
    order = np.random.default_rng(zlib.crc32(name.encode())).permutation(len(table.X))[:rows]
    X = table.X[order] if isinstance(table.X, np.ndarray) else table.X.iloc[order].reset_index(drop=True)
    return table._replace(X=X, truths=[truth[order] for truth in table.truths])


def reached(model: Clusterer, table: Partitioned) -> float:
    labels = model.fit(table.X).labels_
    return max(adjusted_rand_score(truth[truth >= 0], labels[truth >= 0]) for truth in table.truths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    names = datasets.list_partitions()
    keel = [drawn(name, args.rows) for name in names if name.startswith("keel/")]
    keel = [table for table in keel if len(np.unique(table.truths[0])) > 1]
    families = np.random.default_rng(args.seed).permutation(sorted({table.family for table in keel})).tolist()
    past = set(families[::2])
    suite = [drawn(name, args.rows) for name in names if name.split("/")[0] in ("fcps", "graves", "sipu")]
    suite = [table for table in suite if min(table.n_clusters) <= 12]
    plain = Clusterer(random_state=args.seed)
    taught = plain.meta_fit(
        [table.X for table in keel if table.family in past], [table.truths[0] for table in keel if table.family in past]
    )
    for name, tables in (("like", [table for table in keel if table.family not in past]), ("others", suite)):
        before, after = (
            np.array([reached(model, table) for table in tqdm(tables, disable=None)]) for model in (plain, taught)
        )
        groups = [table.family for table in tables]
        print(f"{name}, {len(tables)} tables: {interval(before)} before, {interval(after)} after", flush=True)
        print(f"  difference, over families: {paired(after, before, groups)}", flush=True)


if __name__ == "__main__":
    threadpool_limits(1)
    main()
