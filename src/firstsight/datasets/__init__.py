# ruff: noqa: F401 - the imports below are for type checkers; the names are loaded by lazy_loader
"""Real data: files with a checked hash, from a mirror folder, the cache or their original source.

Readers return numpy arrays and pandas tables; they know no task and no torch. Names are loaded
when they are first used, so that listing the data sets is quick.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from firstsight.datasets.anomaly import (
        AnomalyTable,
        OneClassTable,
        list_adbench,
        list_oddbench,
        list_ovrbench,
        load_adbench,
        load_oddbench,
        load_ovrbench,
    )
    from firstsight.datasets.cache import fetch
    from firstsight.datasets.clustering import ClusteringTable, list_gagolewski, load_gagolewski
    from firstsight.datasets.fingerprints import fingerprint, pairs, similarity
    from firstsight.datasets.images import Images, load_digits, load_fashion_mnist, load_mnist, load_omniglot
    from firstsight.datasets.incidents import Incidents, incident_side, list_incidents, load_incidents
    from firstsight.datasets.partitions import Partitioned, list_partitions, load_partitions, partition_family
    from firstsight.datasets.registry import DATASETS, DataSet, describe, files
    from firstsight.datasets.sound import Sounds, load_fsdd
    from firstsight.datasets.splits import families, groups, split_groups
    from firstsight.datasets.streams import Series, Stream, load_elec2, load_nab
    from firstsight.datasets.tables import Table, keel_family, list_keel, load_keel
    from firstsight.datasets.text import Texts, load_banking77, load_clinc150

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "anomaly": [
            "AnomalyTable",
            "OneClassTable",
            "list_adbench",
            "list_oddbench",
            "list_ovrbench",
            "load_adbench",
            "load_oddbench",
            "load_ovrbench",
        ],
        "cache": ["fetch"],
        "clustering": ["ClusteringTable", "list_gagolewski", "load_gagolewski"],
        "fingerprints": ["fingerprint", "pairs", "similarity"],
        "splits": ["families", "groups", "split_groups"],
        "images": ["Images", "load_digits", "load_fashion_mnist", "load_mnist", "load_omniglot"],
        "incidents": ["Incidents", "incident_side", "list_incidents", "load_incidents"],
        "partitions": ["Partitioned", "list_partitions", "load_partitions", "partition_family"],
        "registry": ["DATASETS", "DataSet", "describe", "files"],
        "sound": ["Sounds", "load_fsdd"],
        "streams": ["Series", "Stream", "load_elec2", "load_nab"],
        "tables": ["Table", "keel_family", "list_keel", "load_keel"],
        "text": ["Texts", "load_banking77", "load_clinc150"],
    },
)
