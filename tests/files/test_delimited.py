"""Mirrors src/geotether/files/delimited.py."""

import pytest

from geotether.files.rows import read_rows
from geotether.sources.records.columns import ColumnsSource

ROWS = [f"{row % 180},{row % 90},{row}.5,name{row}" for row in range(1000)]


def text_with(rows, header="lon,lat,v,name"):
    """Write 1,000 rows, some of them replaced."""
    return "\n".join([header, *(rows.get(at, row) for at, row in enumerate(ROWS))]) + "\n"


@pytest.mark.parametrize(
    "text, line",
    [
        (text_with({500: '5,52,"7.5,name'}), 502),
        (text_with({500: '5,52,7.5,"name'}), 502),
        (text_with({300: '5,52,7.5,"a', 700: '5,52,7.5,"b'}), 302),
        (text_with({300: '5,52,7.5,"a', 700: '5,52,7.5,b"'}), 302),  # 399 rows in one value
        (text_with({300: '5,52,7.5,"a', 700: '5,52,7.5,"b, c"'}), 302),
        (text_with({10: '5,52,7.5,"a "b" c"'}), 12),
        (text_with({0: '"5,52,7.5,x'}), 2),
        (text_with({999: '5,52,7.5,"'}), 1001),
        ("\ufeff" + text_with({500: '5,52,7.5,"name'}).replace("\n", "\r\n"), 502),
        (text_with({500: '5,52,7.5,"name'}).replace(",", ";"), 502),
        (text_with({500: '5,52,7.5,"name'}) + "\n".join(ROWS * 200), 502),  # megabytes later
    ],
)
def test_a_quote_that_is_not_closed_is_an_error_with_its_line(tmp_path, text, line):
    (tmp_path / "p.csv").write_bytes(text.encode())
    for read in (read_rows, lambda path: ColumnsSource(path).prepare(tmp_path)):
        with pytest.raises(ValueError, match=rf"p\.csv: .*line {line} "):
            read(tmp_path / "p.csv")


@pytest.mark.parametrize(
    "value, want",
    [
        ('12" pizza', '12" pizza'),
        ('"a ""b"" c"', 'a "b" c'),
        ('"two\nlines, 1"', "two\nlines, 1"),
        ('""""', '"'),
        ('"quoted" ', "quoted "),
        ('"' + "x" * 300_000 + '"', "x" * 300_000),
    ],
)
def test_other_quotes_are_read(tmp_path, value, want):
    (tmp_path / "p.csv").write_text(text_with(dict.fromkeys(range(0, 20, 3), f"1,2,3,{value}")))
    found = read_rows(tmp_path / "p.csv")["name"].to_pylist()
    assert len(found) == 1000
    assert (found[0], found[1], found[3]) == (want, "name1", want)


@pytest.mark.parametrize(
    "name, text, want",
    [
        ("p.tsv", "lon\tlat\tpop\n1.5\t2\t60,565\n3\t4\t404\n", [60565, 404]),
        ("p.txt", "lon|lat|pop\n1.5|2|60,565\n3|4|404\n", [60565, 404]),
        ("p.csv", "lon;lat;pop\n1.5;2;60,565\n3;4;404\n", [60565, 404]),
        ("p.csv", 'lon,lat,pop\n1.5,2,"60,565"\n3,4,404\n', [60565, 404]),
        ("p.csv", "lon;lat;pop\n1,5;2;60.565\n3;4;404\n", [60565, 404]),
        ("p.csv", "lon;lat;pop\n1,5;2;60,565\n3;4;404\n", [60.565, 404]),
        ("p.csv", "lon;lat;pop\n1.5;2;60.565\n3;4;404\n", [60.565, 404]),
        ("p.csv", "lon;lat;pop\n5,660;2;1.234,5\n3;4;1\n", [1234.5, 1]),
        ("p.csv", "lon;lat;pop\n1;2;60 565\n3;4;404\n", [60565, 404]),
        ("p.csv", "lon;lat;pop\n1;2;1,234,567\n3;4;404\n", [1234567, 404]),
        ("p.csv", "key;lat;pop\n1;2;60,565\n3;4;404\n", ["60,565", "404"]),  # nothing tells which it is
        ("p.csv", "lon,lat,pop\n1,2,0x1F\n3,4,5\n", ["0x1F", "5"]),
        ("p.csv", "lon,lat,pop\n1,2,1_0\n3,4,5\n", ["1_0", "5"]),
        ("p.csv", "lon,lat,pop\n1,2,n.a.\n3,4,5\n", [None, 5]),
        ("p.csv", "lon,lat,pop\n1,2,TRUE\n3,4,false\n", [True, False]),
        ("p.csv", "sep=;\nlon;lat;pop\n1;2;3\n3;4;5\n", [3, 5]),
        ("p.csv", "\n# Exported, by me\n\nlon,lat,pop\n1,2,3\n3,4,5\n", [3, 5]),
        ("p.csv", "#lon,lat,pop\n1,2,3\n3,4,5\n", [3, 5]),
        ("p.csv", "lon,lat,pop\r1,2,3\r3,4,5\r", [3, 5]),
        ("p.csv", "lon,lat,pop,\n1,2,3,\n3,4,5,\n", [3, 5]),
        ("p.csv", "lon,lat,pop\n1,2,3,\n3,4,5,\n", [3, 5]),
    ],
)  # fmt: skip
def test_numbers_and_what_precedes_the_header(tmp_path, name, text, want):
    (tmp_path / name).write_text(text, newline="")
    assert read_rows(tmp_path / name)["pop"].to_pylist() == want


@pytest.mark.parametrize(
    "content, message",
    [
        ("lon,lat,name\n1,2,Mähre\n".encode("cp1252"), "at byte 18.*iconv -f WINDOWS-1252"),
        (("lon,lat,name\n" + "1,2,a\n" * 300_000 + "1,2,Mähre\n").encode("cp1252"), "iconv -f"),
        ("lon,lat\n1,2\n".encode("utf-16"), "iconv -f UTF-16"),
        ("lon,lat\n1,2\n".encode("utf-16-le"), "UTF-16"),
        (b"lon,lat,name\n1,2," + b"x" * 3_000_000, "longer than a megabyte"),
        (b"lon,lat,lat\n1,2,3\n", "column 'lat' twice"),
        (b"", "it is empty"),
        (b"# only a comment\n", "p.csv"),
    ],
)  # fmt: skip
def test_an_error_about_an_unreadable_file_says_what_to_do(tmp_path, content, message):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_rows(tmp_path / "p.csv")
