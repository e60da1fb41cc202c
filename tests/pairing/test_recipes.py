"""The recipes of real paired data open, with the counts that their authors give."""

from pathlib import Path

import numpy as np
import pytest

from geotether.pairing.open import open_paired
from geotether.pairing.specification import read_paired_spec

RECIPES = Path(__file__).parents[2] / "recipes" / "paired"


def opened(name, data, **changes):
    spec = read_paired_spec(RECIPES / f"{name}.yaml")
    return open_paired(spec.model_dump(exclude_defaults=True) | changes, data)


def parts(table):
    return [int((table.split == part).sum()) for part in ("train", "validation", "test")]


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_recipe_is_a_specification(file):
    assert len(read_paired_spec(file).modalities) >= 2


def test_worldcereal(shared_data):
    table = opened("worldcereal", shared_data)
    assert (len(table), parts(table)) == (1600, [956, 312, 332])
    assert [table.modality(name).shape for name in ("s1", "s2", "meteo")] == [(12, 2), (12, 9), (12, 2)]
    assert table.modality("s1").bands == ("VV", "VH")
    assert table.modality("s1").present.sum() == 1585
    groups, crop = table.target("crop_group"), table.target("temporary_crop")
    assert len(groups.names) == 9
    held_out = table.split == "test"
    assert [(target.known & ~held_out).sum() for target in (groups, crop)] == [1164, 1197]
    assert [(target.known & held_out).sum() for target in (groups, crop)] == [310, 315]
    # No block lies in two parts.
    pairs = set(zip(table.group.tolist(), table.split.tolist(), strict=True))
    assert len(pairs) == len(set(table.group.tolist()))


def test_worldcereal_in_ten_day_steps_of_one_region(shared_data):
    ten_days = {
        name: {"kind": "series", "values": f"{name}_dekad", "bands": f"{name}_bands", "at": "dekad_row"}
        for name in ("s1", "s2")
    }
    table = opened("worldcereal", shared_data, modalities=ten_days)
    assert (len(table), table.modality("s1").present.sum(), table.modality("s2").present.sum()) == (1600, 495, 499)
    table = opened("worldcereal", shared_data, modalities=ten_days, rows={"region": "france2023"}, require=["s2"])
    assert (len(table), table.modality("s2").shape) == (499, (36, 9))
    # The README's 46 % missing values are those of all 500 rows; one of them has nothing at all.
    missing = (np.isnan(table.modality("s2").values).sum() + 36 * 9) / (500 * 36 * 9)
    assert round(missing, 2) == 0.46


def test_worldcereal_within_one_region(shared_data):
    groups = {"kind": "classes", "values": "y_group", "names": "group_names", "unknown": -1, "min_count": 20}
    table = opened("worldcereal", shared_data, rows={"region": "france2023"}, targets={"crop_group": groups})
    target, held_out = table.target("crop_group"), table.split == "test"
    assert (len(table), len(target.names)) == (500, 6)
    assert [(target.known & ~held_out).sum(), (target.known & held_out).sum()] == [371, 99]


def test_idtrees(shared_data):
    table = opened("idtrees", shared_data)
    assert (len(table), parts(table)) == (1057, [629, 218, 210])
    assert {name: sensor.shape for name, sensor in table.modalities.items()} == {
        "hsi": (369,),
        "lidar": (40,),
        "hsi_chip": (123, 7, 7),
        "lidar_chip": (6, 7, 7),
    }
    species = table.target("species")
    assert len(species.names) == 8
    assert min(species.counts.values()) >= 40
    held_out = table.split == "test"
    assert [(species.known & ~held_out).sum(), (species.known & held_out).sum()] == [731, 182]
    assert table.target("height").known.all()
    assert table.target("stem_diameter").names == ("stem_diameter (cm)",)
    # The same species from the column of texts, by their counts.
    by_text = {"species": {"kind": "classes", "values": "taxon", "min_count": 40}}
    again = opened("idtrees", shared_data, targets=by_text).target("species")
    assert again.names == species.names
    np.testing.assert_array_equal(again.values, species.values)


def test_landcover_chips(shared_data):
    table = opened("landcover_chips", shared_data)
    assert (len(table), parts(table)) == (980, [585, 213, 182])
    assert [table.modality(name).shape for name in ("s1", "s2")] == [(2, 16, 16), (12, 16, 16)]
    cover = table.target("land_cover")
    assert len(cover.names) == 7
    assert cover.known.all()
    assert round((cover.values.sum(axis=1) >= 2).mean(), 2) == 0.33


def test_multilabel_chips(shared_data):
    # A region of the file, since decoding all images takes long.
    from pyarrow.parquet import read_table

    columns = read_table(shared_data / "paired/multilabel_chips_32px.parquet", columns=["block", "biomes"]).to_pydict()
    some = sorted(set(columns["block"]))[:10]
    table = opened("multilabel_chips", shared_data, rows={"block": some})
    assert len(table) == sum(block in some for block in columns["block"])
    assert [(name, one.shape, str(one.values.dtype)) for name, one in table.modalities.items()] == [
        ("optical", (3, 32, 32), "uint8"),
        ("lights", (1, 32, 32), "uint8"),
    ]
    biomes = table.target("biomes")
    assert len(biomes.names) == 14
    assert len(table.target("ecoregions").names) == 81
    expected = [len(one) for one, block in zip(columns["biomes"], columns["block"], strict=True) if block in some]
    np.testing.assert_array_equal(biomes.values.sum(axis=1), expected)


def test_labels_of_all_multilabel_chips(shared_data):
    places = {"place": {"kind": "vector", "columns": ["land_frac", "lit_frac"]}}
    table = opened("multilabel_chips", shared_data, modalities=places)
    assert (len(table), parts(table)) == (12_000, [6601, 2657, 2742])
    assert round((table.target("biomes").values.sum(axis=1) >= 2).mean(), 2) == 0.45
    assert round((table.modality("place").values[:, 1] > 0).mean(), 2) == 0.57
    assert min(table.target("ecoregions").counts.values()) >= 60
    at_random = opened("multilabel_chips", shared_data, modalities=places, split="split_random")
    assert parts(at_random) == [7200, 2400, 2400]
