"""Serving: models over HTTP, and a page with a map in the browser.

* `planet`: the vectors of a grid of the whole Earth, which layers and answers come from.
* `served`: what is served, and what requests share.
* `app`: the application; `routes`: its addresses by subject.
* `guard`: who may ask, how much, and how long an answer may take; `problems`: errors as clients see them.
* `layers`, `tiles`, `basemap`: what the map shows.
* `points`, `uploads`: tables that clients send; `predictions`: maps of their columns.
* `server`: running it until it is stopped.
"""

from geotether.serving.server import serve

__all__ = ["serve"]
