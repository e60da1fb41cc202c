"""Metrics of a server in the format of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = {"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"}


class Metrics:
    """Counts of requests and their times, of one application.

    Attributes:
        registry: Of Prometheus; add metrics of your own to it.
        places: Places of the grid of each model.
        running: Number of requests that are being answered.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "address")
        self.requests = Counter(
            "geotether_requests", "Requests by address and status.", (*labels, "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "geotether_request_seconds", "Time to answer a request.", labels, buckets=_SECONDS, registry=self.registry
        )
        self.places = Gauge(
            "geotether_places", "Places of the grid of the Earth of a model.", ["model"], registry=self.registry
        )
        self.running = 0
        running = Gauge("geotether_requests_running", "Requests that are being answered.", registry=self.registry)
        running.set_function(lambda: self.running)

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            scope: The request. Its address is the template of its route, so that their number is bounded.
            status: HTTP status.
            seconds: Time that the answer took.
        """
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", None) or "other"
        self.requests.labels(method, route, status).inc()
        self.seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self.registry)
