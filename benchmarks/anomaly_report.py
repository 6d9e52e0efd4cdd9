"""What anomaly.py writes: report.md, tables.csv and losses.png."""

from pathlib import Path

import numpy as np
import pandas as pd
from clustering import markdown

from firstsight.engine.evaluate import paired
from firstsight.report.pictures import COLOURS, new_figure

HINDSIGHT = "best in hindsight"
SHORTFALL = 0.05  # of AUROC below the median baseline: a table on which a method is bad
SCORES = {"auroc": "AUROC", "ap": "AP"}
FACTOR = 2.0  # within which the share of anomalies that was found is about right
MOST_BARS = 40


def by_family(values: pd.Series, family: pd.Series) -> float:
    """Mean over families of their means: near-duplicates count as one."""
    return float(values.groupby(family).mean().mean())


def with_hindsight(results: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """The results, and the best baseline of each table as if it were a method."""
    best = results[results.method.isin(methods)].groupby(["protocol", "table"], sort=False)[list(SCORES)].max()
    facts = results.drop_duplicates(["protocol", "table"]).set_index(["protocol", "table"])[["collection", "family"]]
    rows = best.join(facts).reset_index().assign(method=HINDSIGHT, failure="", seconds=np.nan)
    return pd.concat([results, rows], ignore_index=True)


def summary(results: pd.DataFrame, mine: list[str], methods: list[str]) -> pd.DataFrame:
    """One line a method: scores, ranks, seconds, failures, bad tables, and paired differences of ours to it."""
    order = list(dict.fromkeys(results.method))
    wide = {score: results.pivot(index="table", columns="method", values=score)[order] for score in SCORES}
    family = results.drop_duplicates("table").set_index("table").family.loc[wide["auroc"].index]
    ranks = {score: table.drop(columns=HINDSIGHT).rank(axis=1, ascending=False) for score, table in wide.items()}
    median = wide["auroc"][methods].median(axis=1)
    lines = {}
    for method, rows in results.groupby("method", sort=False):
        line = {f"mean {title}": f"{by_family(wide[score][method], family):.3f}" for score, title in SCORES.items()}
        for score, title in SCORES.items():
            line[f"rank {title}"] = "" if method == HINDSIGHT else f"{by_family(ranks[score][method], family):.2f}"
        line["seconds"] = "" if method == HINDSIGHT else f"{rows.seconds.mean():.3f}"
        line["failed"] = "" if method == HINDSIGHT else str((rows.failure != "").sum())
        line["bad tables"] = f"{by_family(wide['auroc'][method] < median - SHORTFALL, family):.2f}"
        for own in mine:
            for score, title in SCORES.items():
                interval = paired(wide[score][own], wide[score][method], family.tolist())
                line[f"{own} - method, {title}"] = "" if own == method else str(interval)
        lines[method] = line
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("method")


def probabilities(results: pd.DataFrame, mine: list[str]) -> pd.DataFrame:
    """Calibration of ours, and whether the share of anomalies that it found is right."""
    lines = {}
    for own in mine:
        rows = results[(results.method == own) & (results.failure == "")].set_index("table")
        if rows.empty:
            continue
        gaps = pd.DataFrame(
            (np.vstack(rows.bin_probabilities) - np.vstack(rows.bin_truths)) / rows.n_rows.to_numpy()[:, None],
            index=rows.index,
        )
        pooled = gaps.groupby(rows.family).mean().mean().abs().sum()
        # A share of 0 is never within a factor.
        ratio = rows.contamination.clip(lower=1e-9) / (rows.n_anomalies / rows.n_rows)
        near = abs(np.log(ratio)) <= np.log(FACTOR)
        lines[own] = {
            "ECE of a table": f"{by_family(gaps.abs().sum(axis=1), rows.family):.3f}",
            "ECE, pooled": f"{pooled:.3f}",
            f"share of anomalies within a factor of {FACTOR:g}": f"{by_family(near, rows.family):.2f}",
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("method")


def draw_losses(path: Path, results: pd.DataFrame, own: str, methods: list[str]) -> None:
    """AUROC of ours less that of the best baseline, the tables where it is lowest."""
    protocols = list(dict.fromkeys(results.protocol))
    figure = new_figure(5.0 * len(protocols), 8.0)
    for axes, protocol in zip(figure.subplots(1, len(protocols), squeeze=False)[0], protocols, strict=True):
        wide = results[results.protocol == protocol].pivot(index="table", columns="method", values="auroc")
        rival = wide[methods].mean().idxmax()
        worst = (wide[own] - wide[rival]).sort_values()[:MOST_BARS][::-1]
        axes.barh(range(len(worst)), worst, color=[COLOURS[1 if gap < 0 else 2] for gap in worst])
        axes.set_yticks(range(len(worst)), worst.index.str[:40], fontsize=6)
        axes.axvline(0, color="0.4", lw=0.8)
        axes.set_xlabel(f"AUROC of {own} less that of {rival}")
        axes.set_title(protocol, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def write(out: Path, results: pd.DataFrame, mine: list[str], methods: list[str], settings: str) -> None:
    """Print and write report.md, and write tables.csv and, where there are ours, losses.png."""
    whole = with_hindsight(results, methods)
    parts = [
        "Means, ranks and intervals over families. Bad tables: share with an AUROC more than "
        f"{SHORTFALL:g} below the median baseline. Seconds and failures over tables. {settings}\n"
    ]
    for protocol, of_protocol in whole.groupby("protocol", sort=False):
        collections = list(dict.fromkeys(of_protocol.collection))
        for chosen in [*([name] for name in collections), *([collections] if len(collections) > 1 else [])]:
            rows = of_protocol[of_protocol.collection.isin(chosen)]
            n_tables, n_families = rows.table.nunique(), rows.family.nunique()
            parts.append(f"## {protocol}: {' and '.join(chosen)}, {n_tables} tables of {n_families} families\n")
            parts.append(markdown(summary(rows, mine, methods)))
            if mine and not (of_ours := probabilities(rows, mine)).empty:
                parts.append(markdown(of_ours if protocol == "contaminated" else of_ours.iloc[:, :2]))
    text = "\n".join(parts)
    print(text)
    (out / "report.md").write_text(text)

    index, order = ["protocol", "table"], list(dict.fromkeys(results.method))
    wide = [
        results.pivot(index=index, columns="method", values=s)[order].add_prefix(f"{t} ") for s, t in SCORES.items()
    ]
    facts = results.drop_duplicates(index).set_index(index)
    facts = facts[["collection", "family", "n_rows", "n_columns", "n_anomalies"]]
    facts.join(wide).round(4).to_csv(out / "tables.csv")
    if mine:
        draw_losses(out / "losses.png", results, mine[0], methods)
