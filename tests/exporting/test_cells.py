import h3
import healpix
import numpy as np
import pytest
import shapely

from geotether.exporting import cells as room
from geotether.exporting.cells import Cells, system_of
from geotether.regions.region import Region, region_of

REGIONS = ["world", "Fiji", "8 49 9 50", "-180 70 180 90", "-180 -90 180 -80", "170 -20 -170 20"]


def cells_of(cells):
    """The cells of all runs, and their centres."""
    runs = [cells.system.children(run, cells._run_level, cells.system.level) for run in cells.runs]
    found = np.concatenate(runs)
    lonlat = cells.system.lonlat(found, cells.system.level)
    inside = cells.region.contains(lonlat)
    return found[inside], lonlat[inside]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("text", ["h3:2", "healpix:32", "healpix:1"])
def test_runs_have_every_cell_whose_centre_is_in_the_region_once(region, text, monkeypatch):
    monkeypatch.setattr(room.H3, "part_levels", 1)
    system = system_of(text)
    system = type(system)(system.level, part_levels=1 if system.name == "h3" else 2)
    cells = Cells(system, region_of(region))
    found, _ = cells_of(cells)
    if system.name == "h3":
        every = np.array([int(c, 16) for base in h3.get_res0_cells() for c in h3.cell_to_children(base, 2)], np.uint64)
        lat, lon = np.array([h3.cell_to_latlng(f"{cell:x}") for cell in every.tolist()]).T
    else:
        every = np.arange(12 * 4**system.level)
        lon, lat = healpix.pix2ang(2**system.level, every, nest=True, lonlat=True)
    expected = every[cells.region.contains(np.stack([lon, lat], axis=1))]
    assert len(np.unique(found)) == len(found)
    assert set(found.tolist()) == set(expected.tolist())


def test_fine_cells_of_scattered_islands_are_found_without_looking_at_the_ocean():
    shape = shapely.union_all([shapely.box(179, -17, 179.5, -16.5), shapely.box(200, 20, 200.5, 20.5)])
    cells = Cells(system_of("h3:6"), Region("islands", shape))
    assert cells.count < 20
    found, lonlat = cells_of(cells)
    assert len(found) == pytest.approx(cells.places, rel=0.1)
    sampled = cells.sample(20)
    assert len(sampled) == 20
    assert {tuple(row) for row in sampled.round(9).tolist()} <= {tuple(row) for row in lonlat.round(9).tolist()}


def test_ids_are_those_of_the_libraries():
    system = system_of("h3:4")
    place = np.array([[5.66, 51.97]])
    assert system.column(system.at(place)).to_pylist() == [h3.latlng_to_cell(51.97, 5.66, 4)]
    assert system_of("healpix:64").at(place).tolist() == [int(healpix.ang2pix(64, 5.66, 51.97, nest=True, lonlat=True))]
