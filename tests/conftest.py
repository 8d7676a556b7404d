"""What every test may use."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Books and evaluation sets that lie beside the checkout where the project is developed."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the books and evaluation sets in ../shared, which are not here")
    return folder
