"""Longer truths: processes killed at random moments, and the built wheel in an empty environment."""

import os
import random
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest
import torch

from firstsight.engine.checkpoint import read_checkpoint
from firstsight.engine.train import CHECKPOINT

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow

TRAIN = """
import sys
from firstsight import TrainConfig, last, meta_train
from scenarios import build_meta, tasks_of
config = TrainConfig(steps=240, meta_batch=4, validate_every=25, validate_tasks=8, checkpoint_every=7,
                     schedule="cosine", backend="vmap", chunk=4, threads=1, seed=5)
sample = tasks_of("autoencoder denoising")
print("ready", flush=True)
last(meta_train(build_meta("maml", "autoencoder denoising"), sample, config, validate=sample, directory=sys.argv[1]))
print("done", flush=True)
"""


def start(directory):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(directory)], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_killed_at_random_moments_and_resumed_gives_the_unbroken_run_to_the_bit(tmp_path):
    unbroken = start(tmp_path / "unbroken")
    assert unbroken.communicate(timeout=300)[0].split() == ["ready", "done"]
    randomness, kills = random.Random(0), 0
    longest = 2.0
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        process = start(tmp_path / "broken")
        assert process.stdout.readline().strip() == "ready"
        try:
            process.wait(timeout=randomness.uniform(0.1, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
            longest *= 1.2  # so that a slow machine gets there too
        if process.communicate()[0].strip() == "done":
            break
    expected, found = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("unbroken", "broken"))
    assert kills >= 3
    assert found.facts == expected.facts
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(found.tensors[name], tensor), name
    assert len(expected.tensors["losses"]) == 240
    # What a kill leaves behind is at most the file it was writing.
    left = {path.name for path in (tmp_path / "broken").iterdir()} - {CHECKPOINT}
    assert all(name.endswith(".part") for name in left)


def test_the_wheel_works_in_an_empty_environment(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    installing = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "requirements.lock", wheel]
    subprocess.run(installing, check=True, capture_output=True, cwd=tmp_path, env=environment)
    listed = subprocess.run(
        [python, "-m", "firstsight", "--help"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert "demo" in listed.stdout
    (block, *_) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    subprocess.run([python, "-W", "error", "-c", block], check=True, capture_output=True, cwd=tmp_path, env=environment)
    without_pictures = subprocess.run(
        [python, "-m", "firstsight", "demo"], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert without_pictures.returncode == 2
    assert "pip install 'firstsight[report]'" in without_pictures.stderr
