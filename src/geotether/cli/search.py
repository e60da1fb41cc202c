"""`geotether search`: the places that match a place, a text, an image or values of columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from geotether.encoder import Encoder
    from geotether.searching import Answers, Index, Query

_LISTED = 20  # answers that are printed; others are in the file
_REASONS = 3  # modalities that are printed, and the one that is least alike if there are more
_PICTURE = ".png"


def search(
    model: Annotated[str, typer.Argument(help="A model of geotether: its folder or name, such as world.")],
    near: Annotated[
        tuple[float, float] | None, typer.Option(metavar="LON LAT", help="Search for places like this one, in degrees.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Search for places that match this text.")] = None,
    image: Annotated[Path | None, typer.Option(help="Search for places that match this image.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Search for places that match values; repeat.")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="What text, image or columns are taken as, such as text.")
    ] = None,
    top: Annotated[int, typer.Option(help="Number of answers.")] = 10,
    within: Annotated[
        str | None, typer.Option(help="Only places in this region: a name, W S E N, or a polygon file.")
    ] = None,
    min_distance: Annotated[
        float | None,
        typer.Option(help="Least distance of two answers in km; on the land grid ten times the grid's spacing."),
    ] = None,
    among: Annotated[Path | None, typer.Option(help="Search the points of this file instead of the land.")] = None,
    places: Annotated[int | None, typer.Option(help="Number of places on land to search among; 100,000.")] = None,
    index: Annotated[
        Path | None, typer.Option(help="Folder that keeps the vectors searched among; else the user's cache.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the answers: a file of points, or a map.png.")] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Measure how often held-out observations find their place.")
    ] = False,
) -> str:
    """Search for places that match a place, a text, an image or values, and show what they have in common."""
    from geotether.files.disk import writing
    from geotether.loading import load_encoder
    from geotether.searching import search
    from geotether.searching.index import logged_progress

    given = {"--near": near, "--text": text, "--image": image, "--column": column or None}
    asked = [name for name, one in given.items() if one is not None]
    if len(asked) != 1 - evaluate:
        said = f"got {' and '.join(asked)}" if asked else "got none"
        raise ValueError(f"Ask by one of --near LON LAT, --text, --image and --column, or --evaluate; {said}.")
    encoder: Any = getattr(load_encoder(model), "model", None)
    if not hasattr(encoder, "heads"):
        raise ValueError(f"{model} is not a model of geotether, so it has no heads to search with.")
    if evaluate:
        return measured(encoder, open_candidates(encoder, None, among, places, index), modality)
    query = asked_of(encoder, near, text, image, column or [], modality)
    if out is not None and out.suffix.lower() != _PICTURE:
        from geotether.files.points import output_format

        output_format(out)  # an unknown ending is an error before the work, not after
    found = open_candidates(encoder, within, among, places, index)
    found.vectors(query.space, logged_progress(f"vectors of {found.candidates.said}"))
    answers = search(found, query, top, min_distance_km=min_distance)
    said = described(answers, encoder)
    if out is not None:
        with writing(out, inputs=[one for one in (model, among, image) if one is not None]):
            write(out, answers, found)
        said += f"\n\n{'The map is' if out.suffix.lower() == _PICTURE else 'The answers are'} in {out}"
    return said


def asked_of(
    encoder: "Encoder",
    near: tuple[float, float] | None,
    text: str | None,
    image: Path | None,
    columns: Sequence[str],
    modality: str | None,
) -> "Query":
    """Turn the options into a query."""
    from geotether.searching import columns_query, image_query, place_query, text_query

    if near is not None:
        if modality is not None:
            raise ValueError("--modality says what a text, an image or columns are taken as; leave it out with --near.")
        return place_query(encoder, *near)
    if text is not None:
        return text_query(encoder, text, modality)
    if image is not None:
        return image_query(encoder, image, modality)
    pairs = [one.partition("=") for one in columns]
    if odd := [name for name, mark, _ in pairs if not mark or not name]:
        raise ValueError(f"--column takes NAME=VALUE, such as --column mass=12; got {odd[0]!r}.")
    return columns_query(encoder, {name.strip(): _value(value.strip()) for name, _, value in pairs}, modality)


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def open_candidates(
    encoder: "Encoder", within: str | None, among: Path | None, places: int | None, folder: Path | None
) -> "Index":
    """Open the index of the land, of a region or of a file; that of the land is kept in the user's cache."""
    from geotether.regions import region_of
    from geotether.searching import file_candidates, land_candidates, open_index
    from geotether.searching.candidates import LAND_PLACES
    from geotether.user_folders import keyed_path

    region = None if within is None else region_of(within)
    if among is not None:
        if places is not None:
            raise ValueError("--places is the number of places on land; leave it out with --among.")
        return open_index(encoder, file_candidates(among, region), folder)
    count = LAND_PLACES if places is None else places
    if folder is None and count > 0:
        shape = None if region is None or region.shape is None else region.shape.wkb_hex
        folder = keyed_path("search", "index", [encoder.content_hash, count, within and shape])
        if (folder / "index.json").is_file():
            return open_index(encoder, None, folder)
    return open_index(encoder, land_candidates(count, region), folder)


def described(answers: "Answers", encoder: "Encoder") -> str:
    """Write the answers as a table, with their country, what makes them alike, and the nearest observations."""
    from geotether.regions import country_of
    from geotether.searching.alikeness import in_words

    query = answers.query
    apart = f", at least {answers.min_distance_km:.0f} km apart" if answers.min_distance_km else ""
    what = f"places like {query.said}" if query.lonlat is not None else f"places for {query.modality} {query.said}"
    lines = [f"{len(answers)} {what}, of {answers.among}{apart}", *query.notes, ""]
    ofs = ["most alike in", "least"] if len(answers.alike) > _REASONS else ["alike in"] if answers.alike else []
    header = ["rank", "lon", "lat", "in", "similarity", "in words", *ofs]
    rows = []
    countries = country_of(answers.lonlat)
    for at in range(min(len(answers), _LISTED)):
        lon, lat = answers.lonlat[at]
        similarity = float(answers.similarity[at])
        row = [str(at + 1), f"{lon:.2f}", f"{lat:.2f}", countries[at] or "-", f"{similarity:.3f}"]
        row.append(in_words(similarity, query.lonlat is not None))
        order = sorted(answers.alike, key=lambda name: -answers.alike[name][at])
        said = [f"{name} {answers.alike[name][at]:.2f}" for name in order]
        rows.append(row + [", ".join(said[:_REASONS]), *said[-1:]][: len(ofs)])
    lines.append(aligned([header, *rows]))
    if len(answers) > _LISTED:
        lines.append(f"and {len(answers) - _LISTED} more; --out FILE writes all of them.")
    return "\n".join([*lines, "", *nearby(answers, encoder)])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Write rows of cells in columns; a column of numbers is aligned to the right."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(cell[:1] in "-0123456789" for cell in column[1:]) for column in columns]
    lines = []
    for row in rows:
        cells = zip(row, widths, numeric, strict=True)
        lines.append("  ".join(f"{cell:>{width}}" if right else f"{cell:<{width}}" for cell, width, right in cells))
    return "\n".join(line.rstrip() for line in lines)


def nearby(answers: "Answers", encoder: "Encoder") -> list[str]:
    """Write the training observations nearest to each answer, if the training tables are at hand."""
    from geotether.training.pretraining import training_observations

    known = training_observations(encoder)
    if not known.observed:
        return ["The tables of its training are not at hand, so the observations near these places are not shown."]
    found = known.nearest(answers.lonlat[:_LISTED])
    lines = ["Nearest training observations:"]
    for at in range(min(len(answers), _LISTED)):
        said = []
        for name, observations in found.items():
            one = observations[at]
            said.append(f"{name} {one.text!r}, {one.km:.0f} km" if one.text else f"{name} {one.id}, {one.km:.0f} km")
        lines.append(f"{at + 1:>4}  {'; '.join(said)}")
    return lines


def write(out: Path, answers: "Answers", index: "Index") -> None:
    """Write the answers as points, or draw them on a map."""
    if out.suffix.lower() != _PICTURE:
        from geotether.files.writers import write_points

        table = answers.table()
        write_points(out, table.schema, [(table, answers.lonlat)])
        return
    from geotether.maps.answers import answers_map
    from geotether.maps.figure import save_figure

    query = answers.query
    similarity = index.similarity(query.space, query.vector)
    title = f"Places like {query.said}" if query.lonlat is not None else f"Places for {query.modality} {query.said}"
    save_figure(answers_map(index.candidates.lonlat, similarity, answers.lonlat, title, query.lonlat), out)


def measured(encoder: "Encoder", index: "Index", modality: str | None) -> str:
    """Measure the recall of places by held-out observations of every modality, or of one."""
    from geotether.searching.recall import cross_modal_recall, recall_rows
    from geotether.training.pretraining import trained_tables

    tables = trained_tables(encoder)
    if modality is not None:
        tables = {name: table for name, table in tables.items() if name == modality}
    usable = {name: table for name, table in tables.items() if name in encoder.heads}
    if not usable:
        raise ValueError(
            "--evaluate needs the tables that the model was trained on, which config.yaml beside the model folder "
            f"names; {'those' if modality is None else 'that of ' + modality} cannot be found."
        )
    return aligned(recall_rows([cross_modal_recall(encoder, index, name, one) for name, one in usable.items()]))
