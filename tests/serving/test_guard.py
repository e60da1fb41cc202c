"""Mirrors src/geotether/serving/guard.py, in front of small applications; requests are ASGI messages."""

import asyncio
import json

import pytest
from fastapi import FastAPI, Request

from geotether.serving.guard import LOOPBACK, Guard
from geotether.serving.limits import Limits
from geotether.serving.metrics import Metrics
from geotether.serving.problems import handle_problems


async def echo(request: Request):
    return {"size": len(await request.body())}


async def slow():
    await asyncio.sleep(0.3)


async def broken():
    raise RuntimeError("/secret/path")


@pytest.fixture
def guarded():
    def make(hosts=LOOPBACK, **limits):
        app = FastAPI()
        for path, answer in {"/echo": echo, "/slow": slow, "/broken": broken, "/health": slow}.items():
            for method in ("GET", "POST"):
                app.add_api_route(path, answer, methods=[method])
        handle_problems(app)
        app.add_middleware(Guard, limits=Limits(**limits), metrics=Metrics(), hosts=hosts)
        return app

    return make


async def ask(guard, path, method="GET", body=(b"",), client="10.0.0.1", **headers):
    """Send a request; a body of None never arrives. Returns status, JSON and headers."""
    given = {"host": "localhost:8000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "scheme": "http", "http_version": "1.1", "client": (client, 1), "server": ("localhost", 8000),
        "headers": [(name.encode(), value.encode()) for name, value in given.items() if value is not None],
    }  # fmt: skip
    parts, sent = list(body or ()), []

    async def receive():
        if body is None or not parts:
            await asyncio.sleep(60)
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    await guard(scope, receive, send)
    text = b"".join(one.get("body", b"") for one in sent)
    return sent[0]["status"], json.loads(text), {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("LOCALHOST", 200),
        ("evil.example", 400), ("localhost.evil.example", 400), ("127.0.0.1.nip.io:8000", 400), ("[::1", 400),
        ("", 400), (None, 400), ("evil.example@localhost", 200),
    ],
)  # fmt: skip
def test_only_names_of_the_server_are_hosts(guarded, host, status):
    assert asyncio.run(ask(guarded(), "/echo", host=host))[0] == status
    assert asyncio.run(ask(guarded(hosts=None), "/echo", host=host))[0] == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200), ("http://localhost:8000", 200), ("http://localhost:3000", 403), ("https://earth.example", 200),
        ("http://evil.example", 403), ("null", 403), ("http://[", 403),
    ],
)  # fmt: skip
def test_pages_of_other_sites_send_nothing(guarded, origin, status):
    guard = guarded(hosts=(*LOOPBACK, "earth.example"))
    assert asyncio.run(ask(guard, "/echo", "POST", origin=origin))[0] == status
    assert asyncio.run(ask(guarded(), "/echo", "GET", origin=origin))[0] == 200


def test_bodies_are_limited_said_or_not(guarded):
    guard = guarded(body_bytes=100)
    assert asyncio.run(ask(guard, "/echo", "POST", [b"x" * 60, b"y" * 40]))[:2] == (200, {"size": 100})
    assert asyncio.run(ask(guard, "/echo", "POST", [b"x" * 60, b"y" * 41]))[0] == 413
    for length in ("101", "9" * 5000):
        assert asyncio.run(ask(guard, "/echo", "POST", content_length=length))[0] == 413


def test_bodies_of_json_are_smaller_than_files(guarded):
    guard, body = guarded(body_bytes=20_000_000, points=100), [b"x" * 600_000] * 2
    assert asyncio.run(ask(guard, "/echo", "POST", body, content_type="multipart/form-data; boundary=b"))[0] == 200
    for kind in ("application/json", None):
        assert asyncio.run(ask(guard, "/echo", "POST", body, content_type=kind))[0] == 413
        assert asyncio.run(ask(guard, "/echo", "POST", content_type=kind, content_length="1200000"))[0] == 413
    assert asyncio.run(ask(guard, "/echo", "POST", body[:1], content_type="application/json"))[0] == 200


def test_clients_have_a_rate_each(guarded):
    guard = guarded(rate=0.5, burst=2)
    got = [asyncio.run(ask(guard, "/echo", client=f"10.0.0.{at}")) for at in (1, 1, 1, 2)]
    assert [status for status, _, _ in got] == [200, 200, 429, 200]
    assert got[2][2]["retry-after"] == "2"
    assert [asyncio.run(ask(guard, "/", client="10.0.0.1"))[0] for _ in range(3)] == [
        404
    ] * 3  # the page is not counted
    neighbours = [f"2001:db8::{at}" for at in (1, 2, 3)]  # one network of one client
    assert [asyncio.run(ask(guard, "/echo", client=one))[0] for one in neighbours] == [200, 200, 429]


def test_time_and_requests_at_once_are_limited(guarded):
    guard = guarded(seconds=0.1, at_once=2)

    async def several():
        first = await asyncio.gather(*(ask(guard, "/slow") for _ in range(3)))
        busy = await ask(guard, "/echo")  # the two that were given up are still computed
        healthy = await ask(guarded(), "/health")
        await asyncio.sleep(0.4)
        return [*first, busy, healthy, await ask(guard, "/echo")]

    got = asyncio.run(several())
    assert sorted(status for status, _, _ in got[:3]) == [429, 429, 429]
    assert [status for status, _, _ in got[3:]] == [429, 200, 200]
    assert all("retry-after" in headers for status, _, headers in got if status == 429)
    assert asyncio.run(ask(guard, "/echo", "POST", None))[0] == 408


def test_one_client_holds_a_quarter_of_the_slots(guarded):
    guard = guarded(at_once=12)

    async def several():
        clients = ["10.0.0.1"] * 5 + ["10.0.0.2"] * 2 + [f"2001:db8::{at}" for at in range(5)]
        first = await asyncio.gather(*(ask(guard, "/slow", client=one) for one in clients))
        return [*first, await ask(guard, "/echo")]

    got = asyncio.run(several())
    assert [status for status, _, _ in got] == [*[200] * 3, 429, 429, 200, 200, *[200] * 3, 429, 429, 200]
    assert all("retry-after" in headers for status, _, headers in got if status == 429)


def test_faults_of_the_server_say_nothing_of_it(guarded, caplog):
    status, found, headers = asyncio.run(ask(guarded(), "/broken"))
    assert status == 500
    assert "secret" not in str(found)
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "/secret/path" in caplog.text
