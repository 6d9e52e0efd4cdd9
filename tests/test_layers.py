"""Imports point downwards only: a room imports rooms of a lower level, and none of its own."""

import ast
from pathlib import Path

import pytest

import firstsight

ROOT = Path(firstsight.__file__).parent
LEVELS = {
    "core": 0, "trees": 0, "seeds": 0, "checks": 0, "tensor_checks": 0, "losses": 0, "starts": 0,
    "nets": 1, "learners": 1, "tasks": 1, "augment": 1, "metafeatures": 1, "columns": 1, "datasets": 1, "inputs": 1,
    "meta": 2, "selection": 2, "density": 2,
    "engine": 3, "pools": 3, "few_shot": 3,
    "catalogue": 4, "pretrained": 4, "priors": 4,
    "estimators": 5, "report": 5,
    "demo": 6, "overview": 6, "family": 6, "flags": 6,
    "commands": 7, "cli": 7, "__main__": 8,
}  # fmt: skip
# The exceptions that the design names: learners are built from nets, and the files of level 0 and
# of one room use each other; the engine meets the contract alone. A training on a pool, which has a memory
# across steps and so is none of the engine's, is written to the engine's checkpoints; what is learned by one, too.
ALLOWED = {("learners", "nets"), ("pools", "engine"), ("few_shot", "pools"), ("few_shot", "engine")}
FORBIDDEN_BELOW = {
    "meta": {"learners", "tasks"},
    "engine": {"nets", "learners", "tasks", "meta", "selection", "datasets", "columns", "metafeatures"},
    "pools": {"nets", "learners", "meta", "selection", "datasets", "columns", "metafeatures", "augment"},
}
OUTSIDE = {
    "sklearn": {
        "selection",
        "density",
        "estimators",
        "columns",
        "tasks/pseudo_labels.py",
        "inputs/texts.py",
        "demo.py",
        "datasets",
        "family",
        "overview",
    },
    "ray": {"engine/execute.py"},
    "matplotlib": {"report"},
    "plotly": {"report"},
    "jinja2": {"report"},
    "librosa": {"inputs/sounds.py"},
    "soundfile": {"inputs/sounds.py"},
    "PIL": {"inputs/images.py", "datasets"},
    "lightgbm": {"selection"},
    "openTSNE": {"selection"},
    "umap": {"selection"},
    "pacmap": {"selection"},
}
FILES = sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    part = path.relative_to(ROOT).parts[0]
    return part.removesuffix(".py")


def imports_of(source: str) -> list[str]:
    """Dotted names of all imports, those inside functions included."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports should be absolute"
            # `from firstsight import core` imports a room as well.
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def wrong_arrows(room: str, file: str, source: str) -> list[str]:
    wrong = []
    for name in imports_of(source):
        parts = name.split(".")
        if parts[0] == "firstsight" and len(parts) > 1 and parts[1] in LEVELS:
            other = parts[1]
            inside = other == room or LEVELS[other] == LEVELS[room] == 0 or (room, other) in ALLOWED
            if not inside and (LEVELS[other] >= LEVELS[room] or other in FORBIDDEN_BELOW.get(room, ())):
                wrong.append(f"{file} imports {name}")
        if parts[0] in OUTSIDE and not {room, file} & OUTSIDE[parts[0]]:
            wrong.append(f"{file} imports {name}")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path):
    room = room_of(path)
    if room == "__init__":
        return  # the public names, loaded lazily
    assert room in LEVELS, f"{room} should have a level in this test"
    assert not wrong_arrows(room, str(path.relative_to(ROOT)), path.read_text())


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("meta", "from firstsight.learners import kmeans"),
        ("engine", "def f():\n    import firstsight.tasks.mixtures"),
        ("learners", "from firstsight.tasks import mixtures"),
        ("core", "from firstsight import engine"),
        ("meta", "from sklearn.cluster import KMeans"),
        ("catalogue", "from firstsight.estimators import anything"),
    ],
)
def test_a_wrong_arrow_is_found(room, source):
    assert wrong_arrows(room, f"{room}/x.py", source)
