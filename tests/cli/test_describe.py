"""Mirrors src/geotether/cli/describe.py and describe_file.py: what is said of every kind of file."""

import json

import numpy as np
import pytest
from PIL import Image

from geotether.encoder import Encoder
from geotether.files.formats import endings_of

pytest.importorskip("geopandas")
LAYERS = endings_of("layer")


@pytest.mark.parametrize("ending", [*endings_of("rows"), ".csv.gz", ".jsonl.gz"])
def test_every_format_of_rows_gives_places_and_columns(geotether, small_files, tmp_path, ending):
    small_files.rows_file(tmp_path / f"x{ending}")
    status, said, errors = geotether("describe", tmp_path / f"x{ending}", "--source", "columns")
    assert status == 0, errors
    lon, lat = small_files.places().T
    facts = (
        "12 rows", f"longitude {lon.min():.5g} to {lon.max():.5g}", f"latitude {lat.min():.5g} to {lat.max():.5g}",
        "12 different places", "rejected    none", "2024-01-10 to 2024-09-18", "numbers 1.8 to 28.56, 1 missing",
        "2 different: 'beech' (6), 'oak' (6)",
    )  # fmt: skip
    assert [fact for fact in facts if fact not in said] == []


@pytest.mark.parametrize("ending", endings_of("raster"))
def test_every_format_of_rasters_gives_grid_and_bands(geotether, small_files, tmp_path, ending):
    small_files.raster_file(tmp_path / f"x{ending}")
    status, said, errors = geotether("describe", tmp_path / f"x{ending}")
    assert status == 0, errors
    assert "18 x 36 cells" in said
    assert "latitude -90 to 90" in said
    assert "0.149319 to 19.3357" in said


def test_odd_values_rejected_rows_and_doubts_are_named_with_their_rows(geotether, tmp_path):
    rows = [f"{at},{at / 2},{at},2024-01-{at:02d},{'oak' if at % 2 else 'elm'}" for at in range(1, 29)]
    rows[4] = "5,2.5,n.a.x,2024-01-05,oak"
    rows[6] = "7,95,7,2024-01-07,oak"
    rows[9], rows[10] = "0,0,9,,oak", "0,0,9,2023-06-01,oak"
    (tmp_path / "t.csv").write_text("\n".join(["lon,lat,height,seen,kind", *rows, "1,2"]) + "\n")
    status, said, errors = geotether("describe", tmp_path / "t.csv", "--set", "time=seen", "--map", tmp_path / "m.png")
    assert status == 0, errors
    assert "'n.a.x' (row 4)" in said
    assert "rejected    2 of 29 rows" in said
    assert "(rows 6)" in said
    assert "2023-06-01 to 2024-01-28, 1 rows without" in said
    assert "2 of 27 rows lie at longitude 0, latitude 0" in said
    assert np.ptp(np.asarray(Image.open(tmp_path / "m.png").convert("L"))) > 100


def test_a_file_without_places_is_described_and_says_why_it_cannot_be_used(geotether, tmp_path):
    (tmp_path / "t.csv").write_text("site,height\na,1\nb,2.5\n")
    status, said, _ = geotether("describe", tmp_path / "t.csv")
    assert (status, "2 rows" in said, "NOT USABLE" in said, "'site', 'height'" in said) == (0, True, True, True)
    assert "numbers 1 to 2.5" in said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"PAR1 nothing"),
        ("x.geojson", b'{"type": "FeatureCollection", "features": [{'),
        ("x.tif", b"II*\x00" + b"\xff" * 30),
        ("x.nc", b"CDF\x01" + b"\xff" * 30),
        ("x.npy", b"\x93NUMPY\x01\x00v\x00{"),
        ("x.gpkg", b"SQLite format 3\x00"),
        ("x.docx", b"PK"),
        ("x.yaml", b"tables: {}"),
        ("x.pt", b"PK\x03\x04"),
        ("gone.csv", None),
    ],
)
def test_an_unreadable_file_is_an_error_that_names_it(geotether, tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    status, _, errors = geotether("describe", tmp_path / name)
    assert (status, name in errors) == (1, True), errors


def test_layers_arrays_archives_and_images(geotether, small_files, tmp_path):
    import geopandas

    frame = geopandas.GeoDataFrame({"a": [1]}, geometry=geopandas.points_from_xy([5], [52]), crs=28992)
    for layer in ("plots", "trees"):
        frame.to_file(tmp_path / "x.gpkg", layer=layer)
    status, said, errors = geotether("describe", tmp_path / "x.gpkg")
    assert "plots" in said + errors
    assert "trees" in said + errors
    status, said, _ = geotether("describe", tmp_path / "x.gpkg", "--set", "layer=plots")
    assert (status, "28992" in said) == (0, True)
    np.savez(tmp_path / "v.npz", v=np.zeros((3, 2)), w=np.zeros(3, dtype=int))
    said = geotether("describe", tmp_path / "v.npz")[1]
    assert ("3 x 2 of float64" in said, "3 of int64" in said) == (True, True)
    small_files.darwin_core(tmp_path / "gbif.zip")
    said = geotether("describe", tmp_path / "gbif.zip")[1]
    assert ("darwin_core" in said, "2020-05-01 to 2020-05-09" in said) == (True, True)
    small_files.image_folder(tmp_path / "photos", ".jpg")
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "nowhere.jpg")
    said = geotether("describe", tmp_path / "photos")[1]
    assert ("4 rows" in said, "1 of 4 rows" in said, "latitude -20.5 to 40.5" in said) == (True, True, True)


def test_odd_provenance_of_a_model_is_an_error_with_its_name(geotether, tmp_path):
    from geotether.encoder import Encoder
    from geotether.encoders.build import build_location_encoder

    module = build_location_encoder(
        {"positional": {"name": "cartesian"}, "network": {"name": "siren", "hidden_dim": 4}}, seed=0
    )
    Encoder(module).save(tmp_path / "model")
    assert "-> " in geotether("describe", tmp_path / "model")[1]
    for tables in ({"a": {"split": {"train": []}, "rows": 1, "dim": 1}}, {"a": None}, [1]):
        (tmp_path / "model" / "provenance.json").write_text(json.dumps({"tables": tables}))
        status, _, errors = geotether("describe", tmp_path / "model")
        assert (status, "provenance.json" in errors) == (1, True), errors


def test_where_a_model_was_trained_is_said_or_unknown(geotether, tmp_path, make_context_encoder):
    encoder = Encoder(make_context_encoder())
    encoder.save(tmp_path / "old")
    assert "training places      unknown" in geotether("describe", tmp_path / "old")[1]
    lonlat = np.random.default_rng(0).uniform(-60, 60, (1500, 2))
    encoder.learn_coverage({"rain": lonlat, "soil": lonlat[:3]})
    encoder.save(tmp_path / "new")
    said = geotether("describe", tmp_path / "new")[1]
    assert f"in cells of 10 km: rain {len(encoder.seen.cells['rain']):,}, soil 3\n" in said
    assert f"{encoder.seen.threshold:.3f}" in said
    assert f"{encoder.seen.threshold_km:,.0f} km" in said


def test_the_context_of_a_model_is_listed_level_by_level(geotether, tmp_path, make_context_encoder):
    encoder = Encoder(make_context_encoder())
    encoder.save(tmp_path / "model")
    status, said, _ = geotether("describe", tmp_path / "model")
    assert status == 0
    assert "40 numbers (projected, up to 80)" in said
    for level in encoder.module.context.levels:
        line = next(line for line in said.splitlines() if f"{level['source']} at {level['scale_km']:g} km" in line)
        assert all(f"{name} ({width})" in line for name, width in level["groups"].items())
