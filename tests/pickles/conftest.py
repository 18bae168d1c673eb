"""Files of torch.save as torch itself writes them, made by an engine's interpreter."""

import subprocess
from pathlib import Path

import pytest

from tests.engine.conftest import python_of

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def torch_python():
    return python_of("e4")


@pytest.fixture(scope="session")
def saved(torch_python, tmp_path_factory):
    """A folder of <name>.bin with <name>.safetensors of the same values."""
    folder = tmp_path_factory.mktemp("saved")
    subprocess.run([torch_python, HERE / "make_torch.py", folder], check=True, capture_output=True)
    return folder
