import json
import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from firstsight.engine import checkpoint
from firstsight.engine.checkpoint import CheckpointError, read_checkpoint, refuse_difference, write_checkpoint
from firstsight.engine.record import write_record

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b.c": torch.tensor(2.5, dtype=torch.float64),
    "empty": torch.zeros(0, 2),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run" / "c.safetensors"
    write_checkpoint(path, TENSORS, {"step": 3, "nested": {"x": [1, None, "ü"]}})
    return path


def test_what_is_written_is_read(path):
    tensors, facts = read_checkpoint(path)
    assert facts == {"format": checkpoint.FORMAT, "step": 3, "nested": {"x": [1, None, "ü"]}}
    assert tensors.keys() == TENSORS.keys()
    assert all(
        torch.equal(tensors[name], TENSORS[name]) and tensors[name].dtype == TENSORS[name].dtype for name in TENSORS
    )
    assert [file.name for file in path.parent.iterdir()] == ["c.safetensors"]


def test_every_truncation_is_refused(path):
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            read_checkpoint(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_is_refused(path, data):
    write_checkpoint(path, TENSORS, {"step": 3})
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole)
    with pytest.raises(CheckpointError, match="restore it from a copy, or remove it"):
        read_checkpoint(path)


def test_later_formats_and_foreign_files_are_refused(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    write_checkpoint(path, TENSORS, {"version": "9.1"})
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    with pytest.raises(CheckpointError, match=r"format 2, written by firstsight 9.1; .* up to 1; upgrade"):
        read_checkpoint(path)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="is no checkpoint of firstsight"):
        read_checkpoint(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="train first, or check the path"):
        read_checkpoint(path)


def test_a_failed_write_leaves_the_old_checkpoint(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(path, {"a": torch.zeros(1)}, {})
    assert read_checkpoint(path).facts["step"] == 3
    assert [file.name for file in path.parent.iterdir()] == ["c.safetensors"]


def test_numbers_that_json_cannot_say_are_refused(path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_checkpoint(path, {}, {"loss": float("nan")})
    assert read_checkpoint(path).facts["step"] == 3


def test_the_first_difference_is_named(path):
    refuse_difference(path, "about", {"a": [1, 2]}, {"a": (1, 2)})
    with pytest.raises(CheckpointError, match=r"about.b.c=1, now it is 2; resume with the old value"):
        refuse_difference(path, "about", {"a": 0, "b": {"c": 1}}, {"a": 0, "b": {"c": 2}})


def test_a_record_names_versions_and_no_machine(tmp_path):
    write_record(tmp_path / "record.json", {"seed": 1})
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["seed"] == 1
    assert record["environment"]["packages"]["torch"] == torch.__version__
    assert record["environment"].keys() == {"python", "packages", "cores", "memory_gib"}
