"""What a prior learned from past tables of a family gives to new small tables of it, on thirty-three real families.

    python benchmarks/priors.py --what density            # resumes; --only FAMILY... for some, --table for the figures
    python benchmarks/priors.py --what anomalies clusters

For every family (``prior_families.py``) an estimator learns from the past tables, without truth. Of each new table some
rows are drawn to fit, 10 to 500, with the prior and from scratch; all are scored on the same other rows:

density     mean log-density, nats a row
anomalies   area under the ROC curve of ``score_samples``, truth used for this alone
clusters    adjusted Rand index of ``predict`` with the classes

Then foreign tables: how many are flagged, and what the prior costs on them beside from scratch. ``fit`` is timed on 20
rows. A table counts as the mean of its draws; intervals are over tables, and over families where these are counted.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from prior_families import Family, families, foreign, load_family, split
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from tqdm import tqdm

import firstsight as fs
from firstsight.engine.record import write_record
from firstsight.priors.familiarity import FOREIGN

ROWS = (10, 20, 50, 200, 500)
MOST_TABLES = 8  # new ones of a family
MOST_ASKED = 500
FEWEST_ASKED = 50
FOREIGN_ROWS = (20, 200)


class Kind(NamedTuple):
    """What is measured.

    Parameters
    ----------
    make : callable
        () -> estimator.
    score : callable
        (fitted estimator, rows asked, their truth) -> float, larger is better.
    truths : callable
        Family -> list of truths, or None where the family has none.

    """

    make: Callable[[], Any]
    score: Callable[[Any, pd.DataFrame, Any], float]
    truths: Callable[[Family], Any]


def log_density(model: Any, X: pd.DataFrame, truth: Any) -> float:
    return float(model.score_samples(X).mean())


def auroc(model: Any, X: pd.DataFrame, truth: Any) -> float:
    return float(roc_auc_score(truth, -model.score_samples(X)))


def rand_index(model: Any, X: pd.DataFrame, truth: Any) -> float:
    return float(adjusted_rand_score(truth, model.predict(X)))


KINDS = {
    "density": Kind(
        lambda: fs.DensityEstimator(random_state=0), log_density, lambda family: [None] * len(family.tables)
    ),
    "anomalies": Kind(lambda: fs.AnomalyDetector(random_state=0), auroc, lambda family: family.anomalies),
    "clusters": Kind(lambda: fs.Clusterer(random_state=0), rand_index, lambda family: family.truths),
}


def measured(what: str, name: str, seed: int) -> dict[str, Any]:
    """One family: scores by rows, of every new table and draw; foreign tables; seconds."""
    kind, family = KINDS[what], load_family(name)
    past, new = split(family, seed)
    tables = dict(zip(family.names, family.tables, strict=True))
    truths = dict(zip(family.names, kind.truths(family), strict=True))
    groups = dict(zip(family.names, family.groups, strict=True))
    began = time.perf_counter()
    learned = kind.make().meta_fit([tables[one] for one in past], groups=[groups[one] for one in past])
    learning = time.perf_counter() - began
    rng = np.random.default_rng(seed)
    records = []
    seconds = []
    for one in new[:MOST_TABLES]:
        X, truth = tables[one], truths[one]
        order = rng.permutation(len(X))
        most = max((rows for rows in ROWS if rows <= len(X) - FEWEST_ASKED), default=0)
        asked = order[most : most + MOST_ASKED]
        if not most or (what == "anomalies" and truth[asked].sum() < 2):
            continue
        known = None if truth is None else truth[asked]
        for rows in ROWS:
            if rows > most:
                continue
            shown = X.iloc[order[:rows]]
            began = time.perf_counter()
            with_prior = learned.fit(shown)
            if rows == 20:
                seconds.append(time.perf_counter() - began)
            record = {"table": one, "rows": rows, "familiarity": with_prior.familiarity_}
            record["prior"] = kind.score(with_prior, X.iloc[asked], known)
            record["scratch"] = kind.score(kind.make().fit(shown), X.iloc[asked], known)
            records.append(record)
    strangers = _foreign(kind, learned, name, seed) if what == "density" else []
    return {
        "what": what, "family": name, "seed": seed, "n_past": len(past), "meta_fit_seconds": round(learning, 1),
        "fit_seconds": round(float(np.median(seconds)), 4) if seconds else None,
        "records": records, "foreign": strangers,
    }  # fmt: skip


def _foreign(kind: Kind, learned: Any, name: str, seed: int) -> list[dict[str, Any]]:
    """Tables that are not of the family: whether they are flagged, and what the prior gives beside from scratch."""
    found = []
    for what, X in foreign(name, seed):
        order = np.random.default_rng(seed).permutation(len(X))
        for rows in FOREIGN_ROWS:
            if rows > len(X) - FEWEST_ASKED:
                continue
            shown, asked = X.iloc[order[:rows]], X.iloc[order[-min(MOST_ASKED, len(X) - rows) :]]
            model = learned.fit(shown)
            found.append(
                {
                    "kind": what,
                    "rows": rows,
                    "familiarity": model.familiarity_,
                    "prior": kind.score(model, asked, None),
                    "scratch": kind.score(kind.make().fit(shown), asked, None),
                }
            )
    return found


def summary(records: list[dict[str, Any]]) -> str:
    """Tables of the figures, in Markdown."""
    lines = []
    for what in KINDS:
        chosen = [record for record in records if record["what"] == what and record["records"]]
        if not chosen:
            continue
        lines += [f"### {what}", "", "| family | 20 | 20, scratch | 200, scratch | 20 with prior less 200 scratch |"]
        lines += ["|---|---|---|---|---|"]
        reached = {200: [], 500: []}
        for record in chosen:
            by_rows = {rows: {one["table"]: one for one in record["records"] if one["rows"] == rows} for rows in ROWS}
            for many, flags in reached.items():
                both = sorted(set(by_rows[20]) & set(by_rows[many]))
                if both:
                    gap = [by_rows[20][one]["prior"] - by_rows[many][one]["scratch"] for one in both]
                    flags.append(float(np.mean(gap)) >= 0)
            tables = sorted(set(by_rows[20]) & set(by_rows[200]))
            if not tables:
                continue
            gap = [by_rows[20][one]["prior"] - by_rows[200][one]["scratch"] for one in tables]
            means = [
                np.mean([by_rows[rows][one][key] for one in tables])
                for rows, key in ((20, "prior"), (20, "scratch"), (200, "scratch"))
            ]
            shown = fs.interval(gap) if len(gap) > 1 else f"{gap[0]:.3f} (one table)"
            lines.append(f"| {record['family']} | " + " | ".join(f"{mean:.3f}" for mean in means) + f" | {shown} |")
        for many, flags in reached.items():
            if flags:
                lines.append(f"\n20 rows with a prior at or above {many} from scratch: {sum(flags)} of {len(flags)}")
        for rows in ROWS:
            own = [
                float(np.mean([one["prior"] - one["scratch"] for one in record["records"] if one["rows"] == rows]))
                for record in chosen
                if any(one["rows"] == rows for one in record["records"])
            ]
            if len(own) > 1:
                better = sum(gap >= 0 for gap in own)
                lines.append(
                    f"{rows} rows, prior less scratch: {fs.interval(own)}; not below on {better} of {len(own)}"
                )
        flagged = [one["familiarity"] < FOREIGN for record in chosen for one in record["records"] if one["rows"] == 20]
        lines.append(f"new tables of the family called foreign at 20 rows: {np.mean(flagged):.1%} of {len(flagged)}")
        seconds = [record["fit_seconds"] for record in chosen if record["fit_seconds"]]
        lines.append(f"fit with a prior on 20 rows: median {np.median(seconds):.3f} s, slowest {max(seconds):.3f} s")
        for rows in FOREIGN_ROWS:
            strangers = [one for record in chosen for one in record["foreign"] if one["rows"] == rows]
            for kind in ("other", "permuted", "swapped", "shifted"):
                these = [one for one in strangers if one["kind"].startswith(kind)]
                if these:
                    share = np.mean([one["familiarity"] < FOREIGN for one in these])
                    cost = [one["prior"] - one["scratch"] for one in these]
                    lines.append(
                        f"foreign, {kind}, {rows} rows: flagged {share:.0%} of {len(these)}; "
                        f"prior less scratch {fs.interval(cost)}"
                    )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--only", nargs="+", choices=families(), default=families(), metavar="FAMILY")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/out/priors"))
    parser.add_argument("--table", action="store_true", help="the figures of the runs that are there")
    args = parser.parse_args()
    asked = [(what, name) for what in args.what for name in args.only]
    for what, name in tqdm([] if args.table else asked, desc="families", disable=None):
        file = args.out / what / f"{name.replace('/', '-')}-{args.seed}.json"
        if not file.exists() and KINDS[what].truths(load_family(name)) is not None:
            write_record(file, measured(what, name, args.seed))
    print(summary([json.loads(file.read_text()) for file in sorted(args.out.glob("*/*.json"))]))


if __name__ == "__main__":
    main()
