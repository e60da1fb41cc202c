"""Mirrors src/geotether/sources/records/darwin_core.py."""

import zipfile

import numpy as np
import pytest

from geotether.sources.records.darwin_core import DarwinCoreSource

SOURCE = DarwinCoreSource

TERMS = [
    "gbifID", "decimalLongitude", "decimalLatitude", "coordinateUncertaintyInMeters", "eventDate", "class", "order",
    "species", "countryCode", "occurrenceStatus", "issue",
]  # fmt: skip
ROUNDED, WRONG = "COORDINATE_ROUNDED", "GEODETIC_DATUM_INVALID;COUNTRY_COORDINATE_MISMATCH"
ROWS = [
    ["1", "5.66", "51.97", "10", "2001-05-01/2001-05-09", "Aves", "Passeriformes", 'Parus "major', "NL", "PRESENT", ""],
    ["2", "0", "0", "", "2001", "Aves", "Strigiformes", "Otus scops", "", "PRESENT", ""],
    ["3", "4.9", "52.3", "5000", "2001-07", "Aves", "Strigiformes", "Otus scops", "NL", "PRESENT", ""],
    ["4", "4.9", "52.3", "", "2001-07-04T12:00:00", "Mammalia", "Rodentia", "Mus musculus", "NL", "PRESENT", ROUNDED],
    ["5", "4.9", "52.3", "1", "long ago", "Aves", "Strigiformes", "Bubo bubo é", "NL", "PRESENT", WRONG],
    ["6", "4.9", "52.3", "1", "", "Aves", "Strigiformes", "Bubo bubo é", "NL", "ABSENT", ""],
    ["7", "", "", "1", "", "Aves", "Strigiformes", "Bubo bubo é", "NL", "PRESENT", ""],
    ["8", "4.8", "52.2", "1", "once", "Aves", "Strigiformes", "Bubo bubo é", "NL", "PRESENT", ""],
]  # fmt: skip
META = """<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="metadata.xml">
  <core encoding="{encoding}" fieldsTerminatedBy="{mark}" linesTerminatedBy="\\n" fieldsEnclosedBy='{quote}'
        ignoreHeaderLines="{skip}" rowType="http://rs.tdwg.org/dwc/terms/Occurrence">
    <files><location>occurrence.txt</location></files>
    <id index="0" />
    {fields}
  </core>
  <extension encoding="UTF-8"><files><location>multimedia.txt</location></files><coreid index="0" /></extension>
</archive>"""


def table(mark="\t", header=TERMS):
    return "\n".join(mark.join(row) for row in [header, *ROWS]) + "\n"


def meta(mark="\\t", quote="", encoding="UTF-8", skip=1):
    fields = "\n".join(
        f'<field index="{at}" term="http://rs.tdwg.org/dwc/terms/{term}"/>' for at, term in enumerate(TERMS) if at
    )
    return META.format(mark=mark, quote=quote, encoding=encoding, skip=skip, fields=fields)


def lay_out(folder, kind):
    if kind == "simple":
        (folder / "g.csv").write_text(table(), encoding="utf-8-sig")
        return "g.csv"
    if kind == "folder":
        (folder / "g").mkdir()
        (folder / "g" / "meta.xml").write_text(meta(mark="|", encoding="ISO-8859-1", skip=0))
        (folder / "g" / "occurrence.txt").write_text(table("|").split("\n", 1)[1], encoding="latin-1")
        return "g"
    with zipfile.ZipFile(folder / "g.zip", "w") as archive:
        if kind == "zipped":
            archive.writestr("0001.csv", table())
        else:
            archive.writestr("meta.xml", meta())
            archive.writestr("occurrence.txt", table(header=["other", "names", *TERMS[2:]]))
            archive.writestr("multimedia.txt", "gbifID\n1\n")
    return "g.zip"


@pytest.mark.parametrize("kind", ["simple", "zipped", "archive", "folder"])
def test_downloads_of_every_kind_give_the_same_rows(tmp_path, opened, kind):
    source = opened(lay_out(tmp_path, kind), max_uncertainty_m=1000)
    assert len(source) == 8
    seen = source.read(0, 8)
    assert seen.id.tolist() == ["1", "4", "8"]
    np.testing.assert_array_equal(seen.lonlat, [[5.66, 51.97], [4.9, 52.3], [4.8, 52.2]])
    assert seen.content.column_names == ["class", "order", "species", "eventDate"] or seen.content.column_names == [
        "eventDate", "class", "order", "species"
    ]  # fmt: skip
    assert seen.content["species"].to_pylist() == ['Parus "major', "Mus musculus", "Bubo bubo é"]
    np.testing.assert_array_equal(seen.time, np.array(["2001-05-01", "2001-07-04T12", "NaT"], dtype="datetime64[ms]"))
    assert [(r.row, r.id, r.reason) for r in seen.rejected] == [
        (1, "2", "longitude and latitude 0"),
        (2, "3", "coordinates less exact than 1000 m"),
        (4, "5", "GBIF flags it COUNTRY_COORDINATE_MISMATCH"),
        (5, "6", "a record of absence"),
        (6, "7", "longitude or latitude missing"),
    ]


def test_doubtful_rows_are_kept_when_asked(tmp_path, opened):
    path = lay_out(tmp_path, "simple")
    seen = opened(path, zeros=True, flagged=True, absences=True).read(0, 8)
    assert seen.id.tolist() == ["1", "2", "3", "4", "5", "6", "8"]


def test_one_text_among_uncertainties_does_not_disable_the_filter(tmp_path, opened):
    rows = ["5\t52\t10", "5\t52\t5000 m", "5\t52\t2000", "5\t52\t"]
    head = "decimalLongitude\tdecimalLatitude\tcoordinateUncertaintyInMeters\tspecies"
    (tmp_path / "g.csv").write_text("\n".join([head, *(f"{row}\tx" for row in rows)]) + "\n")
    seen = opened("g.csv", max_uncertainty_m=1000).read(0, 4)
    assert seen.row.tolist() == [0, 3]
    assert [one.row for one in seen.rejected] == [1, 2]


def test_columns_where_and_labels(tmp_path, opened):
    path = lay_out(tmp_path, "simple")
    source = opened(path, columns=["order", "countryCode"], labels="class", where={"class": "Mammalia"})
    seen = source.read(0, 9)
    assert seen.content.to_pylist() == [{"order": "Rodentia", "countryCode": "NL"}]
    assert seen.labels["class"].tolist() == ["Mammalia"]
    assert "class" not in opened(path, labels="class").read(0, 1).content.column_names


def test_quotes_and_commas_as_meta_says(tmp_path, opened):
    with zipfile.ZipFile(tmp_path / "g.zip", "w") as archive:
        archive.writestr("meta.xml", meta(mark=",", quote='"', skip=1))
        archive.writestr("occurrence.txt", 'x\n"1","5","52","","2001","Aves","a, b","s","","",""\n')
    assert opened("g.zip").read(0, 1).content["order"].to_pylist() == ["a, b"]


@pytest.mark.parametrize(
    "files, message",
    [
        ({"a.csv": "x", "b.csv": "y"}, "neither a meta.xml nor a single table; it contains a.csv, b.csv"),
        ({"meta.xml": "<archive"}, "meta.xml does not follow the Darwin Core text guide"),
        ({"meta.xml": "<archive/>"}, "meta.xml does not follow the Darwin Core text guide.*no core"),
        ({"meta.xml": meta()}, "has no 'occurrence.txt', which its meta.xml names"),
        (
            {"0.csv": "gbifID\tdecimalLongitude\n1\t2\n"},
            "no column decimalLatitude; it has .gbifID",
        ),
    ],
)
def test_invalid_archives_are_errors(tmp_path, opened, files, message):
    with zipfile.ZipFile(tmp_path / "g.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    with pytest.raises(ValueError, match=message):
        opened("g.zip")


def test_other_invalid_input_is_named(tmp_path, opened):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        opened("g.zip")
    (tmp_path / "g.zip").write_text("no zip")
    with pytest.raises(ValueError, match="cannot be unpacked"):
        opened("g.zip")
    (tmp_path / "d").mkdir()
    with pytest.raises(ValueError, match=r"has no meta\.xml"):
        opened("d")
    path = lay_out(tmp_path, "simple")
    with pytest.raises(ValueError, match="max_uncertainty_m must be above 0"):
        opened(path, max_uncertainty_m=0.0)
    with pytest.raises(ValueError, match="no column 'genus'"):
        opened(path, columns=["genus"])
