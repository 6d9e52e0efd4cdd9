"""What ``Clusterer.meta_fit`` gains on tables like a user's past ones, and what it costs on others.

Past tables: half of g2mg and h2mg (pairs of round clusters), or KEEL's of half of its families. Tables like them: the
other half. Others: Gagolewski's fcps, graves and sipu.

    python benchmarks/clustering_meta_fit.py --past mg
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
    return table.taken(order)


def reached(model: Clusterer, table: Partitioned) -> float:
    labels = model.fit(table.X).labels_
    return max(adjusted_rand_score(truth[truth >= 0], labels[truth >= 0]) for truth in table.truths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--past", choices=["mg", "keel"], default="mg")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    names = datasets.list_partitions()
    batteries = {"mg": ("g2mg", "h2mg"), "keel": ("keel",)}[args.past]
    known = [drawn(name, args.rows) for name in names if name.split("/")[0] in batteries]
    known = [table for table in known if len(np.unique(table.truths[0])) > 1]
    group = {table.name: table.family if args.past == "keel" else table.name for table in known}
    groups = np.random.default_rng(args.seed).permutation(sorted(set(group.values()))).tolist()
    past = [table for table in known if group[table.name] in groups[::2]]
    like = [table for table in known if group[table.name] not in groups[::2]]
    suite = [drawn(name, args.rows) for name in names if name.split("/")[0] in ("fcps", "graves", "sipu")]
    suite = [table for table in suite if min(table.n_clusters) <= 12]
    plain = Clusterer(random_state=args.seed)
    taught = plain.meta_fit([table.X for table in past], [table.truths[0] for table in past])
    for name, tables in (("like", like), ("others", suite)):
        before, after = (
            np.array([reached(model, table) for table in tqdm(tables, disable=None)]) for model in (plain, taught)
        )
        print(f"{name}, {len(tables)} tables: {interval(before)} before, {interval(after)} after", flush=True)
        print(f"  difference: {paired(after, before, [group.get(t.name, t.family) for t in tables])}", flush=True)


if __name__ == "__main__":
    threadpool_limits(1)
    main()
