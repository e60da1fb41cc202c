"""Mirrors experiments/modalities_and_steps.py: its command line, the models that it plans, and the table it prints."""

import shlex

import numpy as np

from geotether.benchmark.outcome import Outcome


def test_the_command_of_its_own_text_is_understood(script):
    (line,) = [line.strip() for line in script.__doc__.splitlines() if "modalities_and_steps.py" in line]
    asked = script.parsed(shlex.split(line.replace("[", "").replace("]", ""))[2:])
    assert (asked.processes, asked.steps, asked.seeds, asked.sets) == (2, [1000, 3000], 3, [1, 2, 3, 5, 9])


def test_every_encoder_is_trained_on_every_set_with_every_seed(script):
    planned = script.jobs([10, 30], 2, [1, 9])
    assert len(planned) == len(set(planned)) == 2 * (1 + 2 * 3 * 2)
    assert {job.seed for job in planned[:13]} == {0}


def test_the_table_has_means_and_the_gain_of_all_modalities(script):
    blocks, found = np.repeat(np.arange(40), 5), {}
    for count, rate in ((1, 0.5), (9, 0.8)):
        right = np.full(200, rate)
        sums = np.stack([np.bincount(blocks), np.bincount(blocks, right)], axis=1).astype(float)
        job = script.Job("default", count, 10, 0)
        found[job] = [
            Outcome(
                encoder=job.name, task=task, probe="ridge", split="blocks-10", labels=2700, seed=0, fold="",
                metric="accuracy", value=rate, chosen="", blocks=np.arange(40), sums=sums,
            )
            for task in ("country", "biome")
        ]  # fmt: skip
    (row,) = [line for line in script.report(found) if line.startswith("| default")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["default", "10", "0.500", ""]
    assert cells[6] == "0.800"
    assert "30.0" in cells[7]
