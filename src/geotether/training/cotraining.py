"""Training on paired sensors by name of the method."""

from pathlib import Path

from torch import nn

from geotether.tables.paired import PairedTable
from geotether.training.colearning import ColearningCourse, DistilledCourse, SupervisedCourse
from geotether.training.loop import run_course
from geotether.training.paired_config import PairedConfig
from geotether.training.paired_course import PairedCourse
from geotether.training.sample_ties import TiesCourse

COURSES: dict[str, type[PairedCourse]] = {
    "mdico": ColearningCourse,
    "shared": ColearningCourse,
    "single": SupervisedCourse,
    "fused": SupervisedCourse,
    "distilled": DistilledCourse,
    "ties": TiesCourse,
}


def cotrain(
    config: PairedConfig,
    table: PairedTable,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    fresh: bool = False,
    progress: str = "auto",
) -> nn.Module:
    """Train on samples that several sensors saw.

    Args:
        config: What to do; from `load_paired_config`.
        table: All rows. Those whose split is `train` are learned from (all rows of a table without a split), those of
            `validation` are watched for early stopping, others are not touched.
        out: Folder of the run; see `geotether.training.loop.run_course`. None writes nothing.
        resume: Go on with the unfinished run in `out`.
        fresh: Begin anew, whatever is in `out`; its model stays until the new one is complete.
        progress: `auto`, `bar`, `lines` or `none`.

    Returns:
        The model that is handed out, in evaluation mode. `geotether.predict.load_paired` loads it from `out`/model.

    Raises:
        ValueError: If table and configuration do not fit, or the state belongs to another run.
        FinishedRunError: If `out` holds this very run, finished, and `fresh` is not set; a FileExistsError.
        FileExistsError: If `out` holds an unfinished run or another finished one, and neither is asked for.
        RunInterrupted: After Ctrl-C, once the state is saved.
        FloatingPointError: If the loss is no longer a number.
    """
    course = COURSES[config.method](config, table)
    return run_course(course, out, resume=resume, fresh=fresh, progress=progress)  # type: ignore[arg-type]
