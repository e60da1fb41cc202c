"""The table built earlier, if nothing changed since."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geotether.featurizing.build import make_table
from geotether.featurizing.plan import Plan
from geotether.featurizing.specification import TableSpec


def cached_table(
    spec: TableSpec | Mapping[str, Any],
    folder: str | Path,
    name: str,
    *,
    workers: int | None = None,
    progress: str = "auto",
) -> Path:
    """Find the table that was built from a specification, or build it.

    Whether it is still right is told by a key in the file: of the specification, the source's fingerprint and the code
    that makes the features. Neither source nor table is read for that.

    Args:
        spec: What to build from.
        folder: Where tables are kept; made if missing.
        name: Of the modality and of its file.
        workers: As for `build_table`.
        progress: As for `build_table`.

    Returns:
        `folder`/`name`.parquet, up to date.

    Raises:
        ValueError: As for `build_table`, whose other errors come as well.
    """
    plan = Plan.of(TableSpec.of(spec), Path(folder) / f"{name}.parquet", name)
    make_table(plan, workers=workers, progress=progress)
    return plan.out
