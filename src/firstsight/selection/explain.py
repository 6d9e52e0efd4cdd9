"""Say in words why the judge prefers one partition to another."""

import numpy as np
import pandas as pd

from firstsight.selection.choose import Choice
from firstsight.selection.crowd import agreements, shared_rows
from firstsight.selection.geometry import Floats
from firstsight.selection.judge import Judge

__all__ = ["explained", "reasons_of"]

N_REASONS = 3
SAME = 0.95  # adjusted Rand index above which two partitions are one answer
SUFFIXES = ("_below_same", "_below", "_rank", "_worst", "_mean", "_low", "_share", "_sum", "_1", "_10", "_clusters")

WORDS = {
    "log_k": "number of clusters", "smallest": "size of the smallest cluster",
    "smallest_rows": "size of the smallest cluster", "largest": "size of the largest cluster",
    "balance": "balance of the sizes", "small_clusters": "many tiny clusters",
    "silhouette": "silhouette", "silhouette_negative": "rows nearer to another cluster",
    "purity": "neighbours in the same cluster", "purity_excess": "neighbours in the same cluster",
    "border": "rows at a border", "border_drop": "thinner at the borders",
    "prominence": "density peaks above the passes between clusters",
    "pass_depth": "depth of the passes between clusters",
    "density_spread": "even density inside", "density_contrast": "clusters of different density",
    "tree_contrast": "long edges between clusters", "tree_gap": "gaps wider than those inside",
    "tree_shortest": "width of the narrowest gap", "tree_longest": "widest gap left inside",
    "tree_length_gap": "gaps wider than those inside", "tree_inside": "gaps left inside clusters",
    "tree_scattered": "clusters in pieces", "peaks_together": "separate peaks left in one cluster",
    "peaks_parted": "peaks that were parted", "peaks_margin": "peaks parted against peaks left together",
    "unexplained": "spread left inside clusters", "calinski": "Calinski-Harabasz index",
    "davies": "Davies-Bouldin index",
    "likelihood": "likelihood of Gaussians", "bic": "Bayesian information criterion",
    "classification": "classification likelihood", "posterior": "certainty of the assignment",
    "gaussian_error": "rows that a Gaussian would place elsewhere", "kurtosis": "shape of the clusters",
    "separation": "separation of the nearest clusters", "gap": "gap on the line between centres",
    "beyond": "rows beyond the middle between centres", "anisotropy": "stretched clusters",
    "agreement": "agreement with the other proposals", "agreement_top": "agreement with the other proposals",
    "found_again": "clusters that other proposals find too", "clusters_pure": "clusters thought not to mix true ones",
    "clusters_whole": "clusters thought not to split true ones", "clusters_true": "clusters thought to be true ones",
    "table": "kind of table", "by": "family of algorithms", "in": "scaling",
}  # fmt: skip


def word_of(name: str) -> str:
    """The words for a value of a proposal's row."""
    for prefix in ("table", "by", "in"):
        if name.startswith(f"{prefix}_"):
            return WORDS[prefix]
    while name not in WORDS:
        suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
        if suffix is None:
            return name.replace("_", " ")
        name = name.removesuffix(suffix)
    return WORDS[name]


def grouped(names: list[str], values: Floats) -> dict[str, float]:
    """Sums of contributions (n_values,) by their words, the largest first."""
    found: dict[str, float] = {}
    for name, value in zip(names, values.tolist(), strict=True):
        found[word_of(name)] = found.get(word_of(name), 0.0) + value
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def reasons_of(choice: Choice | None, judge: Judge) -> pd.DataFrame:
    """A row for each proposal, rated highest first; reasons are what sets it apart from the mean proposal."""
    columns = ["algorithm", "scaling", "setting", "n_clusters", "rating", "quality", "reasons"]
    if choice is None:
        return pd.DataFrame(columns=columns)
    ratings = choice.rated.ratings
    order = np.argsort(-ratings, kind="stable")
    contributions = judge.reasons(choice.rated.names, choice.rated.rows)
    contributions = contributions - contributions.mean(0)
    table = []
    for place in order:
        proposal = choice.seen.proposals[place]
        parts = grouped(choice.rated.names, contributions[place])
        best = [f"{word} ({value:+.2f})" for word, value in list(parts.items())[:N_REASONS] if value >= 0.005]
        n_clusters = int(proposal.labels.max()) + 1
        quality = judge.expected(float(choice.rated.qualities[place]))[0]
        rating = float(ratings[place])
        row = (proposal.algorithm, proposal.space, proposal.setting, n_clusters, rating, quality, "; ".join(best))
        table.append(row)
    return pd.DataFrame(table, columns=columns)


def explained(choice: Choice | None, judge: Judge, n_clusters: int, quality: float, plain: str) -> str:
    """The answer, how sure it is, and why it was preferred to the runner-up."""
    noun = "cluster" if n_clusters == 1 else "clusters"
    lines = [f"{n_clusters} {noun}; expected adjusted Rand index {quality:.2f}."]
    if choice is None:
        return f"{n_clusters} {noun}: {plain}."
    likely = sorted(choice.posterior.items(), key=lambda item: -item[1])[:4]
    lines.append("How many: " + ", ".join(f"{k} with {p:.0%}" for k, p in likely if p >= 0.005) + ".")
    best, ratings = choice.best, choice.rated.ratings
    proposal = choice.seen.proposals[best]
    if n_clusters == 1:
        lines.append(f"The table looks like one cluster: {1 - choice.structured:.0%}. The best partition otherwise:")
    lines.append(
        f"Found by {proposal.algorithm} ({proposal.setting}) in the {proposal.space} scaling, "
        f"the best of {len(ratings)} proposals."
    )
    crowd = choice.seen.crowd
    others = np.flatnonzero(agreements(crowd, shared_rows(crowd))[best] < SAME)
    if len(others):
        second = int(others[ratings[others].argmax()])
        rival = choice.seen.proposals[second]
        difference = judge.reasons(choice.rated.names, choice.rated.rows[[best, second]])
        parts = grouped(choice.rated.names, difference[0] - difference[1])
        words = list(parts.items())
        lines.append(
            f"Runner-up: {int(rival.labels.max()) + 1} clusters by {rival.algorithm} in the {rival.space} scaling, "
            f"rated {ratings[second]:.2f} against {ratings[best]:.2f}."
        )
        lines.append(
            "For the answer: " + "; ".join(f"{word} ({value:+.2f})" for word, value in words[:N_REASONS]) + "."
        )
        against = [f"{word} ({value:+.2f})" for word, value in words[::-1][:2] if value < -0.005]
        if against:
            lines.append("Against it: " + "; ".join(against) + ".")
    unlike = judge.unlike(choice.seen.facts)
    if unlike:
        lines.append("Unlike the tables that were learned from: " + ", ".join(unlike) + "; trust this less.")
    return "\n".join(lines)
