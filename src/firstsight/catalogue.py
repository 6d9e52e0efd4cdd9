"""What there is, by name: the one place where all parts meet.

Each entry is ``name -> (Config, build, summary)``. The tests read these tables and know no name by heart;
a new part is one line here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from firstsight.learners import autoencoder, classifier, contrastive, energy, gmm, kmeans, ppca, som, svdd, vae
from firstsight.meta import (
    amortized,
    imaml,
    in_context,
    joint,
    maml,
    memory,
    meta_gradient,
    meta_sgd,
    protonet,
    reptile,
)
from firstsight.tasks import augmented, episodes, mixtures, neighbours, pseudo_labels, sinusoids, tables


class Entry(NamedTuple):
    """A part of the catalogue.

    Parameters
    ----------
    config : type
        Frozen dataclass with the settings.
    build : callable
        Learners: ``(config) -> Learner``; meta-learners: ``(config, learner, outer_loss=None) ->
        MetaLearner``; task distributions: ``(config) -> Sample``, or ``(config, data...) -> Sample``
        where they draw from data.
    summary : str
        One line.
    gives : str
        Of a learner: what ``predict`` gives for a row: ``clusters`` (scores, whose argmax is the cluster),
        ``classes`` (likewise), ``codes`` or ``scores`` (the larger, the odder the row).
    takes : str
        Of a meta-learner: what it takes a learner for. A ``model`` is fitted to the support of every task; an
        ``embedding`` is a first look at a row, which the meta-learner reads on, and never fits to a task.

    """

    config: type
    build: Callable[..., Any]
    summary: str
    gives: str = ""
    takes: str = "model"


LEARNERS = {
    "autoencoder": Entry(autoencoder.Config, autoencoder.build, "rows as short codes, plain or denoising", "codes"),
    "classifier": Entry(
        classifier.Config, classifier.build, "supervised net: linear, MLP, conv, or any module", "classes"
    ),
    "contrastive": Entry(
        contrastive.Config, contrastive.build, "embedding of small images that knows a row again", "codes"
    ),
    "energy": Entry(energy.Config, energy.build, "classes or values by an energy with features of the task", "classes"),
    "gmm": Entry(
        gmm.Config, gmm.build, "Gaussian mixture, with a learned prior on weights, means, covariances", "clusters"
    ),
    "kmeans": Entry(kmeans.Config, kmeans.build, "centroids, with a learned prior on where they lie", "clusters"),
    "ppca": Entry(ppca.Config, ppca.build, "probabilistic PCA, with a learned prior on the directions", "codes"),
    "som": Entry(som.Config, som.build, "units on a grid, near in the data where near on the grid", "clusters"),
    "svdd": Entry(svdd.Config, svdd.build, "a net that maps usual rows near a centre, odd ones away", "scores"),
    "vae": Entry(vae.Config, vae.build, "variational autoencoder: codes, a density and new rows", "codes"),
}

META_LEARNERS = {
    "amortized": Entry(
        amortized.Config, amortized.build, "a net that reads the support and gives the model at once, then fine-tuned"
    ),
    "imaml": Entry(imaml.Config, imaml.build, "MAML by the implicit gradient: memory flat in the inner steps"),
    "in_context": Entry(
        in_context.Config, in_context.build, "a transformer reads the support as a set and answers", takes="embedding"
    ),
    "joint": Entry(joint.Config, joint.build, "one model for all tasks, then fine-tuned: the baseline"),
    "maml": Entry(maml.Config, maml.build, "a start from which few steps suffice; first order, ANIL, exact steps"),
    "memory": Entry(
        memory.Config, memory.build, "a recurrent net reads the support in order, the query looks up", takes="embedding"
    ),
    "meta_gradient": Entry(
        meta_gradient.Config, meta_gradient.build, "a start, and the rates, momentum and clips of every step from it"
    ),
    "meta_sgd": Entry(meta_sgd.Config, meta_sgd.build, "MAML that learns its inner rates"),
    "protonet": Entry(
        protonet.Config, protonet.build, "classes as means of an embedding, learned by episodes", takes="embedding"
    ),
    "reptile": Entry(reptile.Config, reptile.build, "theta moves towards where the inner loop ends"),
}

TASKS = {
    "augmented": Entry(augmented.Config, augmented.build, "rows as classes, their changed copies as query (UMTRA)"),
    "episodes": Entry(episodes.Config, episodes.build, "N-way K-shot episodes from a labelled array"),
    "mixtures": Entry(mixtures.Config, mixtures.build, "Gaussian mixtures whose centres may be shared"),
    "neighbours": Entry(neighbours.Config, neighbours.build, "rows with their mutual nearest neighbours as classes"),
    "pseudo_labels": Entry(pseudo_labels.Config, pseudo_labels.build, "clusters of an embedding as classes (CACTUs)"),
    "sinusoids": Entry(sinusoids.Config, sinusoids.build, "the regression tasks of the MAML paper"),
    "tables": Entry(tables.Config, tables.build, "a family of tables: each is a task, of which some rows are seen"),
}
