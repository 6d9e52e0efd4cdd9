"""Shared settings of the tests."""

import os
from pathlib import Path

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
hypothesis.settings.register_profile("slow", max_examples=300, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def _threads():
    """Small tensors are faster on one thread, and a test should not leave another number behind."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def mirror():
    """The folder of the data sets; without one the test is skipped, or fails where data are required."""
    folder = os.environ.get("FIRSTSIGHT_DATA_MIRROR", "")
    if not folder or not Path(folder).is_dir():
        if os.environ.get("FIRSTSIGHT_REQUIRE_DATA") == "1":
            pytest.fail("FIRSTSIGHT_REQUIRE_DATA=1, and FIRSTSIGHT_DATA_MIRROR names no folder")
        pytest.skip("FIRSTSIGHT_DATA_MIRROR names no folder of data")
    return Path(folder)
