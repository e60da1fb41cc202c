"""Every shape annotation of the package is checked while the tests run."""

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook("geotether", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Real data beside the checkout, for tests that can use it; they skip where it is not."""
    if not SHARED.is_dir():
        pytest.skip(f"real data are not at {SHARED}")
    return SHARED
