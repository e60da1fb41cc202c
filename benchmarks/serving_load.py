"""Measure `geotether serve` under load: latency with 8 clients, then with many, then SIGTERM under load.

    python benchmarks/serving_load.py [MODEL] [--clients 200] [--seconds 60] [--first 20] [--serve="--rate 1000"]

Every client searches for places like a random one, again and again without a pause; after 429 it waits as Retry-After
says. Afterwards each answer is checked against the product of all vectors, computed here: the similarity of every
listed place, and that the answer omits only places too near to a better one.
"""

import argparse
import asyncio
import os
import shlex
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from measuring import status_mb
from server_and_browser import Server, running_server

from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import chord_of_km
from geotether.loading import load
from geotether.serving.planet import Planet

TOP, APART_KM = 10, 300.0
ROUNDING = 2e-3  # vectors are kept in half precision
EDGE = 1e-4  # of a chord: places exactly at the least distance


@dataclass
class Asked:
    """Responses to the clients: statuses, seconds per answer, queries with answers, and the server's memory in MB."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    answers: list[tuple[float, float, list[dict[str, Any]]]] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="world")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=float, default=20, help="seconds with 8 clients")
    parser.add_argument("--serve", default="", help="more options of `geotether serve`")
    asked = parser.parse_args()
    with running_server(asked.model, *shlex.split(asked.serve)) as server:
        print(f"load average {os.getloadavg()[0]:.1f} at the start; {memory_mb(server):,.0f} MB")
        few = asyncio.run(load_of(server, 8, asked.first, seed=1))
        print(f"8 clients: {said(few)}; load average {os.getloadavg()[0]:.1f}")
        many = asyncio.run(load_of(server, asked.clients, asked.seconds, seed=2))
        print(f"{asked.clients} clients, {asked.seconds:g} s: {said(many)}; load average {os.getloadavg()[0]:.1f}")
        print("memory in MB at the start, in the middle and at the end:", *(f"{one:,.0f}" for one in many.memory))
        last = asyncio.run(load_of(server, asked.clients, 20, seed=3, stop_after=3.0))
        print(f"SIGTERM under load: exit status {server.process.wait(30)}; {said(last)}")
    answers = few.answers + many.answers + last.answers
    faults, worst = checked(asked.model, answers)
    print(f"{len(answers):,} answers checked, {len(faults)} wrong; largest error of a similarity {worst:.1e}")
    print(*faults[:5], sep="\n")


def said(found: Asked) -> str:
    """Return rate, latencies and statuses in one line."""
    p50, p95, p99 = np.percentile(found.seconds or [np.nan], [50, 95, 99]) * 1e3
    return (
        f"{len(found.seconds):,} answers, p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, {dict(found.statuses)}"
    )


def memory_mb(server: Server) -> float:
    """Return the resident memory of the server's process and its children."""
    folder = Path("/proc", str(server.process.pid))
    children = (folder / "task" / folder.name / "children").read_text().split()
    return sum(status_mb("VmRSS", pid) for pid in (folder.name, *children))


async def load_of(server: Server, clients: int, seconds: float, seed: int, stop_after: float | None = None) -> Asked:
    """Run clients for some seconds; with `stop_after`, send SIGTERM then and go on until connections fail."""
    found, rng = Asked(), np.random.default_rng(seed)
    until, stopped = time.monotonic() + seconds, asyncio.Event()
    lon = rng.uniform(-180, 180, (clients, 10_000)).round(4)
    lat = np.degrees(np.arcsin(rng.uniform(-0.8, 0.95, (clients, 10_000)))).round(4)

    async def client(number: int) -> None:
        # The server limits the requests of each address.
        address = httpx.AsyncHTTPTransport(local_address=f"127.0.{number // 250}.{number % 250 + 1}")
        async with httpx.AsyncClient(base_url=server.url, timeout=60, transport=address, trust_env=False) as http:
            await ask(http, number)

    async def ask(http: httpx.AsyncClient, number: int) -> None:
        for x, y in zip(lon[number].tolist(), lat[number].tolist(), strict=True):
            if time.monotonic() > until:
                return
            began = time.perf_counter()
            try:
                given = {"lon": x, "lat": y, "top": TOP, "min_distance_km": APART_KM}
                response = await http.get("/similar", params=given)
            except httpx.HTTPError as error:
                when = " after SIGTERM" if stopped.is_set() else ""
                found.statuses[f"{type(error).__name__}{when}"] += 1
                if stopped.is_set():
                    return
                continue
            found.statuses[str(response.status_code)] += 1
            if response.status_code == 200:
                found.seconds.append(time.perf_counter() - began)
                found.answers.append((x, y, response.json()["answers"]))
            elif response.status_code in (429, 503):
                await asyncio.sleep(float(response.headers.get("retry-after", 1)))

    async def watch() -> None:
        for share in (0, 0.5, 1):
            await asyncio.sleep(max(0.0, until - seconds * (1 - share) - time.monotonic() - 0.2))
            found.memory.append(memory_mb(server))

    async def stop() -> None:
        await asyncio.sleep(stop_after or 0)
        stopped.set()
        server.process.send_signal(signal.SIGTERM)

    beside = watch() if stop_after is None else stop()
    await asyncio.gather(beside, *map(client, range(clients)))
    return found


def checked(
    model: str, answers: list[tuple[float, float, list[dict[str, Any]]]], block: int = 32
) -> tuple[list[str], float]:
    """Compare every answer with the product of its place's vector and those of all places on land.

    Returns:
        A sentence for each wrong answer, and the largest difference of a similarity.
    """
    encoder: Any = load(model)
    planet = Planet.of(encoder)
    lonlat = np.asarray(planet.lonlat)[np.asarray(planet.land)]
    points, vectors = unit_vectors(lonlat), normed(encoder.encode(lonlat.tolist()))
    places = {(round(x, 6), round(y, 6)): row for row, (x, y) in enumerate(lonlat.tolist())}
    faults, worst, least = [], 0.0, chord_of_km(APART_KM)
    for start in range(0, len(answers), block):
        part = answers[start : start + block]
        asked = np.array([[x, y] for x, y, _ in part])
        similarity = normed(encoder.encode(asked.tolist())) @ vectors.T
        for (x, y, listed), exact, centre in zip(part, similarity, unit_vectors(asked), strict=True):
            rows = [places.get((round(one["lon"], 6), round(one["lat"], 6))) for one in listed]
            if None in rows or len(rows) != TOP:
                faults.append(f"{x} {y}: {len(rows)} answers, {rows.count(None)} of them not on the grid")
                continue
            said_of = np.array([one["similarity"] for one in listed])
            error = float(np.abs(said_of - exact[rows]).max())
            worst = max(worst, error)
            apart = np.linalg.norm(points[rows][:, None] - points[rows][None], axis=-1) + 9 * np.eye(TOP)
            # A place better than the last answer is rightly missing if a better answer or the place asked for is near.
            better = np.flatnonzero(exact > exact[rows].min() + ROUNDING)
            near = np.linalg.norm(points[better][:, None] - points[rows][None], axis=-1) < least + EDGE
            excused = (near & (exact[rows] > exact[better][:, None] - ROUNDING)).any(axis=1)
            excused |= np.linalg.norm(points[better] - centre, axis=-1) < least + EDGE
            if error > ROUNDING or apart.min() < least - EDGE or not excused.all() or (np.diff(said_of) > 1e-6).any():
                faults.append(f"{x} {y}: error {error:.1e}, {int((~excused).sum())} better places are missing")
    return faults, worst


def normed(vectors: Any) -> np.ndarray:
    """Scale vectors to length 1."""
    found = np.asarray(vectors, dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
