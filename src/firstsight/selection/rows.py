"""What the judge reads: rows of clusters, rows of proposals, and a row of the table.

A silhouette of .4 is much in one table and little in another. So a few measures are given three times more: as a
rank among the proposals, as the distance to the best of all, and as the distance to the best with as many clusters.
"""

from collections.abc import Sequence

import numpy as np

from firstsight.selection.crowd import Crowd
from firstsight.selection.describe import Measures
from firstsight.selection.geometry import Floats

__all__ = ["FAMILIES", "SPACES", "cluster_opinions", "cluster_rows", "family_of", "proposal_rows", "table_row"]

# A measure, and 1 where more of it is better, -1 where less is.
COMPARED = {
    "silhouette": 1, "silhouette_worst": 1, "calinski": 1, "davies": -1, "bic": 1, "classification": 1,
    "posterior": 1, "separation_worst": 1, "gap_worst": -1, "purity_excess": 1, "prominence_worst": 1,
    "pass_depth_worst": 1, "border_drop": 1, "tree_contrast": 1, "tree_inside": -1, "peaks_together": -1,
    "peaks_margin": 1, "agreement": 1, "agreement_top": 1, "found_again": 1, "clusters_pure": 1, "clusters_whole": 1,
    "clusters_true": 1, "clusters_true_worst": 1,
}  # fmt: skip
FAMILIES = ("k-means", "ward", "average", "gmm", "genie", "modes", "hdbscan")
SPACES = ("standard", "pca", "normal", "common")
CLUSTER_FACTS = (
    "log_rows", "log_dimensions", "intrinsic_dimension", "density_spread", "tree_spread", "few_values", "copies",
)  # fmt: skip
N_BEST = 5

Row = tuple[list[str], Floats]


def family_of(algorithm: str) -> str:
    """The family of an algorithm, such as ``gmm`` of ``gmm-full``."""
    return next(family for family in FAMILIES if algorithm.startswith(family))


def cluster_rows(clusters: Measures, facts: dict[str, float]) -> Row:
    """Rows of clusters: names, and values of shape (n_clusters, n_values)."""
    n = len(next(iter(clusters.values())))
    found = dict(clusters) | {f"table_{name}": np.full(n, facts[name]) for name in CLUSTER_FACTS}
    return list(found), np.stack(list(found.values()), axis=1)


def cluster_opinions(crowd: Crowd, purity: Floats, recall: Floats) -> Measures:
    """What is thought of a partition's clusters, as measures of the partition.

    Parameters
    ----------
    crowd : Crowd
        The partitions.
    purity, recall : ndarray of shape (n_clusters,)
        Predicted share of a cluster that is of one true cluster, and share of that one that it holds.

    Returns
    -------
    dict of str to ndarray of shape (n_partitions,)
        Means by size, plain means and minima of purity, recall and the Jaccard index that follows from them.

    """
    purity, recall = np.clip(purity, 0.01, 1), np.clip(recall, 0.01, 1)
    found: Measures = {}
    for name, values in (("pure", purity), ("whole", recall), ("true", 1 / (1 / purity + 1 / recall - 1))):
        found |= {
            f"clusters_{name}": crowd.weighted(values),
            f"clusters_{name}_mean": crowd.mean(values),
            f"clusters_{name}_worst": crowd.least(values),
        }
    return found


def proposal_rows(measures: Measures, facts: dict[str, float], origins: Sequence[tuple[str, str]]) -> Row:
    """Rows of a table's proposals.

    Parameters
    ----------
    measures : dict of str to ndarray of shape (n_proposals,)
        Of :func:`firstsight.selection.describe.describe` and :func:`cluster_opinions`.
    facts : dict of str to float
        As :func:`firstsight.selection.facts.facts_of` gives them.
    origins : sequence of (str, str)
        Algorithm and scaling of each proposal.

    Returns
    -------
    names : list of str
    values : ndarray of shape (n_proposals, n_values)

    """
    n = len(origins)
    found = dict(measures) | _relative(measures)
    found |= {f"table_{name}": np.full(n, value) for name, value in facts.items()}
    families, spaces = [family_of(algorithm) for algorithm, _ in origins], [space for _, space in origins]
    found |= {f"by_{word}": np.array([float(word == family) for family in families]) for word in FAMILIES}
    found |= {f"in_{word}": np.array([float(word == space) for space in spaces]) for word in SPACES}
    return list(found), np.stack(list(found.values()), axis=1)


def _relative(measures: Measures) -> Measures:
    found: Measures = {}
    counts = np.exp(measures["log_k"]).round()
    n = len(counts)
    same = counts[:, None] == counts[None, :]
    for name, sign in COMPARED.items():
        values = sign * measures[name]
        place = np.empty(n)
        place[np.argsort(values, kind="stable")] = np.arange(n)
        found[f"{name}_rank"] = place / max(n - 1, 1)
        found[f"{name}_below"] = values.max() - values
        found[f"{name}_below_same"] = np.where(same, values[None, :], -np.inf).max(1) - values
    return found


def table_row(measures: Measures, facts: dict[str, float], ratings: Floats, qualities: Floats) -> Row:
    """The row of a table, by which its structure is judged.

    Parameters
    ----------
    measures, facts
        As of :func:`proposal_rows`.
    ratings, qualities : ndarray of shape (n_proposals,)
        Of the proposals.

    Returns
    -------
    names : list of str
    values : ndarray of shape (n_values,)

    """
    order = np.argsort(-ratings, kind="stable")
    best, few = order[0], order[:N_BEST]
    found = dict(facts)
    found |= {f"best_{name}": float(values[best]) for name, values in measures.items()}
    found |= {f"few_{name}": float(values[few].mean()) for name, values in measures.items() if name in COMPARED}
    found |= {f"most_{name}": float((sign * measures[name]).max()) for name, sign in COMPARED.items()}
    found |= {"quality": float(qualities[best]), "quality_few": float(qualities[few].mean())}
    found |= {"quality_most": float(qualities.max()), "quality_spread": float(qualities.std())}
    found["rating_spread"] = float(ratings.std())
    return list(found), np.array(list(found.values()))
