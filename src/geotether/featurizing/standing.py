"""A table that is there already: is it what is asked for, and does it say so of itself?"""

import logging
from collections import Counter

from geotether.featurizing.assembly import rejected_path, spoken_reasons
from geotether.featurizing.job import leaves_table
from geotether.featurizing.plan import Plan
from geotether.featurizing.transform_file import transform_path
from geotether.tables.origin import Origin
from geotether.tables.store import read_origin, write_origin

_log = logging.getLogger(__name__)


def is_up_to_date(plan: Plan) -> bool:
    """Whether the table is there already, made from the same specification and data by the same code.

    Texts such as the licence and the tolerance decide no row, so they do not count: see `renew_origin`.

    Raises:
        OSError: If another process is at work on the table.
    """
    if not all(file.is_file() for file in (plan.out, rejected_path(plan.out), transform_path(plan.out))):
        return False
    try:
        origin = read_origin(plan.out)
    except ValueError:  # damaged, or another file of that name: it is made anew
        return False
    return origin.made.get("key") == plan.key and leaves_table(plan.out, plan.facts)


def renew_origin(plan: Plan) -> None:
    """Tell a table that is up to date its new texts and tolerance, where these are others.

    Raises:
        ValueError: If more of its rows were rejected than the tolerance allows now; the table stays as it is.
        OSError: If it cannot be written; it stays as it is.
    """
    origin = read_origin(plan.out)
    rows = origin.made["rows"]
    if not plan.tolerates(rows["rejected"], rows["read"]):
        reasons = spoken_reasons(Counter(origin.made["rejected"]))
        raise ValueError(
            f"{rows['rejected']:,} of {rows['read']:,} rows could not be used when {plan.out} was made, more than the "
            f"tolerated {plan.spec.tolerance:.1%}: {reasons}. They are listed in {rejected_path(plan.out)}. The table "
            "is left as it is; mend these rows, or set tolerance (--tolerance) higher."
        )
    wanted = plan.origin({**origin.made, "specification": plan.spec.plain()})
    if _but_path(wanted) != _but_path(origin):
        write_origin(plan.out, wanted)
        _log.info("%s: what %s says of its origin is written anew; its rows are up to date.", plan.name, plan.out)
    else:
        _log.info("%s: %s is up to date.", plan.name, plan.out)


def _but_path(origin: Origin) -> dict[str, object]:
    """What is said, but for where the source lies: that may be moved."""
    plain = origin.plain()
    specification = {key: value for key, value in plain["made"]["specification"].items() if key != "path"}
    return {**plain, "made": {**plain["made"], "specification": specification}}
