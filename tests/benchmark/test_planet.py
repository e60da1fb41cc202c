"""Mirrors src/geotether/benchmark/planet.py."""

from geotether.benchmark.plan import group_tasks
from geotether.benchmark.planet import planet_tasks


def test_four_tasks_at_the_same_places():
    tasks = {task.name: task for task in planet_tasks()}
    assert list(tasks) == ["country", "population_density", "elevation", "july_temperature"]
    assert [task.kind for task in tasks.values()] == ["classification", "regression", "regression", "regression"]
    assert len(group_tasks(list(tasks.values()))) == 1, "so that they share decompositions"
    assert tasks["population_density"].label == "population_density (log(1 + people per km²))"
    for task in tasks.values():
        assert (len(task.rows("train")) >= 9000, len(task.rows("test")) >= 5000, task.num_missing) == (True, True, 0)
