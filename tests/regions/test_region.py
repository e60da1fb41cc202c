"""Mirrors src/geotether/regions/region.py and named.py."""

import numpy as np
import pytest
import shapely

from geotether.regions import region_of
from geotether.regions.named import index, key_of, known_names

# Land and inland water in km², United Nations Demographic Yearbook; continents from Encyclopaedia Britannica.
PUBLISHED_KM2 = {
    "Australia": 7_692_024,
    "Brazil": 8_515_767,
    "Germany": 357_114,
    "Madagascar": 587_041,
    "Japan": 377_930,
    "New Zealand": 268_838,
    "Russia": 17_098_246,
    "Iceland": 103_000,
    "Fiji": 18_272,
    "Monaco": 2.02,
    "Africa": 30_365_000,
    "Asia": 44_614_000,
    "Europe": 10_000_000,
    "North America": 24_230_000,
    "South America": 17_814_000,
    "Metropolitan France": 543_940,
    "Alaska": 1_518_800,
    "Somalia": 637_657,
    "Oceania": 8_510_900,
}


@pytest.mark.parametrize("name", PUBLISHED_KM2)
def test_areas_are_the_published_ones(name):
    tolerance = 10.0 if name == "Monaco" else 0.03 * PUBLISHED_KM2[name]  # at 1:10m, Monaco has five vertices
    assert region_of(name).area_km2 == pytest.approx(PUBLISHED_KM2[name], abs=tolerance)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("France", (2.35, 48.86), (7.45, 46.95)),
        ("Fiji", (-179.9, -16.8), (0.0, -17.0)),
        ("Fiji", (178.44, -18.1), (175.0, -18.1)),
        ("Russia", (-173.0, 66.5), (-165.4, 64.5)),
        ("Russia", (180.0, 67.0), (25.0, 60.5)),
        ("New Zealand", (-176.5, -43.95), (-170.0, -43.95)),
        ("United States", (173.1, 52.9), (166.0, 55.2)),
        ("United States", (-100.0, 40.0), (-100.0, 25.0)),
        ("Antarctica", (0.0, -90.0), (0.0, -60.0)),
        ("Antarctica", (-180.0, -87.0), (0.0, 90.0)),
        ("Asia", (100.0, 60.0), (50.0, 60.0)),
        ("Europe", (50.0, 60.0), (-53.0, 4.0)),
        ("Europe", (20.5, 54.7), (69.0, 71.0)),
        ("Asian Russia", (69.0, 71.0), (20.5, 54.7)),
        ("Alaska", (173.1, 52.9), (-100.0, 40.0)),
        ("South America", (-53.0, 4.0), (2.35, 48.86)),
        ("world", (0.0, 90.0), (np.nan, np.nan)),
    ],
)
def test_places_are_within_their_countries(name, inside, outside):
    region = region_of(name)
    assert region.contains(np.array([inside, outside])).tolist() == [True, False]
    # A whole turn is the same place.
    assert region.contains(np.array([inside, outside]) + np.array([360.0, 0.0])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "west", "east"),
    [("Fiji", 174.6, 181.8), ("Russia", 19.6, 190.3), ("New Zealand", 165.9, 188.8), ("USA", 172.5, 293.0)],
)
def test_regions_across_the_antimeridian_continue_beyond_180_degrees(name, west, east):
    bounds = region_of(name).bounds
    assert (bounds[0], bounds[2]) == (pytest.approx(west, abs=0.1), pytest.approx(east, abs=0.1))


def test_names_codes_and_spellings_mean_the_same():
    for names in (
        ("France", "FR", "fra", " france "),
        ("Ivory Coast", "Côte d'Ivoire", "cote d’ivoire", "CI"),
        ("Netherlands", "the Netherlands", "Holland"),
        ("St. Lucia", "Saint Lucia"),
        ("United Kingdom", "UK", "Great Britain", "GBR"),
        ("Türkiye", "Turkey"),
        ("Eswatini", "Swaziland"),
        ("DR Congo", "Dem. Rep. Congo", "COD"),
    ):
        assert len({(region_of(name).name, region_of(name).bounds) for name in names}) == 1, names


def test_every_known_name_has_an_outline():
    for name in {outline.name for outline in index().values()}:
        region = region_of(name)
        assert region.shape.is_valid, name
        west, south, east, north = region.bounds
        assert -180 <= west < 180, name
        assert west < east <= west + 360, name
        assert -90 <= south < north <= 90, name
    assert all(key_of(name) in index() for name in known_names())


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        ("-10 35 30 60", (-10, 35, 30, 60)),
        ("-10,35,30,60", (-10, 35, 30, 60)),
        ("-10, 35, 30, 60", (-10, 35, 30, 60)),
        ([-10, 35, 30, 60], (-10, 35, 30, 60)),
        ((170, -50, -170, -30), (170, -50, 190, -30)),
        ((350, 0, 10, 5), (-10, 0, 10, 5)),
        ((180, 0, 190, 5), (-180, 0, -170, 5)),
        ((0, -90, 360, 90), (-180, -90, 180, 90)),
        ((-180, 0, 180, 5), (-180, 0, 180, 5)),
    ],
)
def test_boxes(given, bounds):
    assert region_of(given).bounds == bounds


def test_edges_of_a_box_belong_to_it():
    box = region_of("170 -50 -170 -30")
    edge = np.array([[170.0, -50.0], [-170.0, -30.0], [180.0, -30.0], [-180.0, -40.0], [190.0, -40.0]])
    assert box.contains(edge).all()
    assert not box.contains(np.array([[169.999, -40.0], [-169.999, -40.0], [180.0, -29.999]])).any()


@pytest.mark.parametrize(
    "given", ["1 2 3", "1 2 3 4 5", "0 10 5 0", "0 0 0 5", "0 0 400 5", "0 0 5 95", "nan 0 5 5", "0 0 inf 5"]
)
def test_what_is_not_a_box_is_refused(given):
    with pytest.raises(ValueError, match="W S E N"):
        region_of(given)


@pytest.mark.parametrize(("given", "meant"), [("Frence", "France"), ("Untied States", "United States"), ("afrca", "A")])
def test_an_unknown_name_is_answered_with_the_closest(given, meant):
    with pytest.raises(ValueError, match=f"Did you mean '{meant}"):
        region_of(given)


def test_what_names_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no region ''"):
        region_of("")
    (tmp_path / "borders.csv").write_text("a,b")
    with pytest.raises(ValueError, match="not a polygon file"):
        region_of(str(tmp_path / "borders.csv"))


def test_files_of_any_crs_give_the_same_region(tmp_path):
    gpd = pytest.importorskip("geopandas")
    fiji = region_of("Fiji")
    frame = gpd.GeoDataFrame(geometry=[fiji.shape], crs="EPSG:4326").explode()
    frame.to_file(tmp_path / "degrees.gpkg")
    frame.to_crs("EPSG:3832").to_file(tmp_path / "metres.shp")  # a Mercator map around 150 degrees east
    frame.to_parquet(tmp_path / "degrees.parquet")
    for name in ("degrees.gpkg", "metres.shp", "degrees.parquet"):
        region = region_of(tmp_path / name)
        assert region.name == name.partition(".")[0]
        assert region.bounds == pytest.approx(fiji.bounds, abs=1e-6)
        assert region.area_km2 == pytest.approx(fiji.area_km2, rel=1e-3)
    around_pole = gpd.GeoDataFrame(geometry=[shapely.Point(0, 0).buffer(1e6, 256)], crs="EPSG:3031")
    around_pole.to_file(tmp_path / "pole.gpkg")
    pole = region_of(tmp_path / "pole.gpkg")
    assert pole.bounds == pytest.approx((-180, -90, 180, -80.8), abs=0.1)
    assert pole.contains(np.array([[0.0, -90.0], [-180.0, -85.0], [179.9, -81.0], [12.0, -80.0]])).tolist() == [
        *(True, True, True, False),
    ]
    with pytest.raises(FileNotFoundError, match=r"missing\.geojson"):
        region_of(str(tmp_path / "missing.geojson"))
    gpd.GeoDataFrame(geometry=gpd.points_from_xy([0], [0]), crs=4326).to_file(tmp_path / "points.gpkg")
    with pytest.raises(ValueError, match="no polygons"):
        region_of(tmp_path / "points.gpkg")
