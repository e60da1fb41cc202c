"""`geotether serve`: models over HTTP, and a page with a map in the browser."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    model: Annotated[
        list[str], typer.Argument(help="Models: [NAME=] and a folder or name, such as world; the page compares two.")
    ],
    port: Annotated[int, typer.Option(help="Port to listen on; 0 chooses a free one.", min=0, max=65535)] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 accepts requests from other machines.")
    ] = "127.0.0.1",
    points: Annotated[
        list[Path] | None, typer.Option(help="File of points that the page shows; repeat for several.")
    ] = None,
    resolution: Annotated[
        float,
        typer.Option(help="Spacing of the places searched and shown, degrees.", min=0.1, max=30),
    ] = 0.5,
    public_name: Annotated[
        str | None, typer.Option(help="Name under which a reverse proxy on this machine publishes the server.")
    ] = None,
    rate: Annotated[
        float, typer.Option(help="Requests per second of one client; bursts of four times this number.", min=0.1)
    ] = 100.0,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> str:
    """Serve models over HTTP, with a page to search and map the Earth in the browser.

    The address is printed when the server is ready. Nothing is sent to other machines.
    """
    from geotether.serving import serve
    from geotether.serving.limits import Limits

    serve(
        model, port=port, host=host, points=points or (), resolution=resolution, public_name=public_name,
        limits=Limits(rate=rate, burst=max(1, round(4 * rate))), open_page=open_page, ends_process=True,
    )  # fmt: skip
    return ""
