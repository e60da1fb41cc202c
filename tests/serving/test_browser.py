"""The page in a real Chromium: what it shows, and that it never asks another host."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="the extra serve is not installed")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MAX_BYTES = 1_500_000
SMALL = {"width": 1000, "height": 700}  # pixels cost time without a graphics card
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def running():
    """The module benchmarks/server_and_browser.py."""
    found = importlib.util.spec_from_file_location("server_and_browser", BENCHMARKS / "server_and_browser.py")
    module = sys.modules[found.name] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    if module.chromium() is None:
        pytest.skip("there is no Chromium on PATH")
    return module


@pytest.fixture(scope="module")
def address(running, folder, tmp_path_factory):
    """The address of `geotether serve` with two models and a grid of 4 degrees, in a process of its own."""
    from geotether.encoder import Encoder
    from geotether.encoders.build import build_location_encoder

    parts = {"positional": {"name": "spherical_harmonics", "l_max": 3}, "network": {"name": "siren"}, "embed_dim": 8}
    other = tmp_path_factory.mktemp("serving") / "plain"
    Encoder(build_location_encoder(parts, seed=0)).save(other)
    with running.running_server(folder, other, "--resolution", "4") as server:
        yield server.url


@pytest.fixture(scope="module")
def chromium(running):
    """A browser whose every request to another host ends at a proxy that records it; after the tests there is none."""
    proxy = running.Elsewhere()
    with running.browser(proxy) as started:
        page = started.new_page()
        page.goto("http://example.invalid/")
        page.close()
        assert "GET http://example.invalid/" in proxy.tried
        proxy.tried.clear()
        yield started
    proxy.shutdown()
    proxy.server_close()
    assert proxy.tried == []


@pytest.fixture
def open_page(chromium, address):
    """Open the page in a new window; when the test ends, no window may have reported an error or left the server."""
    contexts, faults = [], []

    def noted(said):
        if said.type in ("error", "warning"):
            faults.append(said.text)

    def open_one(fragment="", viewport=SMALL, sent=lambda url: None, refused=False):
        context = chromium.new_context(viewport=viewport, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: None if refused and "422" in said.text else noted(said))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda one: sent(one.url) if is_here(one.url, address) else faults.append(one.url))
        page.set_default_timeout(20_000)
        page.goto(f"{address}/{fragment}")
        page.locator("body[data-ready]").wait_for()
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert faults == []


def is_here(url, address):
    return url.startswith((f"{address}/", f"blob:{address}/", "data:"))


def drawn(page, layer, side=1):
    """Wait until a layer is drawn whole."""
    page.locator(f"#map-{side}[data-layer='{layer}'][aria-busy=false]").wait_for()


def colours(page, side=1):
    """The number of different colours in the middle of a map."""
    import io

    box = page.locator(f"#map-{side} canvas").first.bounding_box()
    middle = {"x": box["x"] + box["width"] * 0.4, "y": box["y"] + box["height"] * 0.3, "width": 200, "height": 200}
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=middle))).convert("RGB"))
    return len(np.unique(pixels.reshape(-1, 3), axis=0))


def ask(page, text):
    page.locator("#search-text").fill(text)
    page.locator("#search-submit").click()


def answers(page):
    """Wait for the list of answers and return its texts."""
    page.locator("#results[aria-busy=false] #answers > li").first.wait_for()
    return page.locator("#answers > li").all_inner_texts()


def test_a_click_shows_similarity_everywhere_and_places_alike(open_page):
    page = open_page()
    plain = colours(page)
    page.locator("#map-1 canvas").first.click(position={"x": 650, "y": 250})
    assert len(answers(page)) == 10
    drawn(page, "similarity")
    assert colours(page) > plain + 50
    assert page.locator("#legend-1 .legend").get_attribute("data-kind") == "ramp"
    assert page.locator("#map-1 .marker").count() == 10
    for layer, kind in (("rgb", "rgb"), ("clusters", "classes")):
        page.locator("#layer-1").select_option(layer)
        drawn(page, layer)
        assert page.locator("#legend-1 .legend").get_attribute("data-kind") == kind


def test_words_lead_to_places_and_a_refusal_is_announced(open_page):
    page = open_page("", refused=True)
    ask(page, "walrus fjord")
    assert len(answers(page)) == 10
    drawn(page, "similarity")
    assert "walrus fjord" in page.locator("#results-title").inner_text()
    before = page.locator("#announcer").inner_text()
    ask(page, "\u2603")  # no group of letters that the training texts have
    page.locator("#results[aria-busy=false]:not(:has(#answers > li))").wait_for()
    assert page.locator("#announcer").inner_text() not in ("", before)
    assert page.locator("#map-1 .marker").count() == 0


def test_a_picture_leads_to_places(open_page, tmp_path):
    picture = tmp_path / "chip.png"
    Image.fromarray(np.full((8, 8, 3), 220, dtype=np.uint8)).save(picture)
    page = open_page()
    page.locator("#picture-file").set_input_files(picture)
    assert len(answers(page)) == 10
    drawn(page, "similarity")
    page.locator("[data-note=picture]").wait_for()
    for lost in (page.reload, lambda: page.goto(page.url.replace("#", "?place=5,6#"))):
        lost()  # the picture, or the parameter in the wrong part of the address
        page.locator("#trouble > p").wait_for()


def test_a_table_of_points_becomes_a_map_with_its_score(open_page, tmp_path):
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-180, 180, 400), np.degrees(np.arcsin(rng.uniform(-0.9, 0.9, 400)))
    rows = [f"{x:.3f},{y:.3f},{30 - abs(y) / 2:.2f}" for x, y in zip(lon, lat, strict=True)]
    table = tmp_path / "warm.csv"
    table.write_text("\n".join(["lon,lat,warmth", *rows]))
    page = open_page()
    page.locator("#tab-data").click()
    page.locator("#points-file").set_input_files(table)
    page.locator("#predict-label").wait_for()
    assert page.locator("#points-column").input_value() == "warmth"
    page.locator("#predict-label").select_option("warmth")
    page.locator("#predict-submit").click()
    page.locator("#prediction[aria-busy=false] .score").wait_for()
    drawn(page, "prediction.value")
    assert page.locator("#prediction .score").get_attribute("data-beats") is not None
    assert "warmth" in page.locator("#prediction-title").inner_text()


def test_two_models_side_by_side_answer_one_click_and_share_the_pointer(open_page):
    page = open_page()
    page.locator("#compare").click()
    page.locator("#map-2 canvas").first.hover(position={"x": 150, "y": 200})
    page.locator("#map-1 .ghost:not([hidden])").wait_for(state="attached")
    page.locator("#map-2 canvas").first.click(position={"x": 150, "y": 200})
    answers(page)
    for side in (1, 2):
        drawn(page, "similarity", side)
        assert page.locator(f"#map-{side} .marker").count() == 10
    assert len({page.locator(f"#model-{side}").input_value() for side in (1, 2)}) == 2


def test_a_link_opens_the_same_view_elsewhere(open_page):
    first = open_page()
    ask(first, "kangaroo reef")
    listed = answers(first)
    first.locator("#layer-1").select_option("clusters")
    first.locator("#zoom-in").click()
    drawn(first, "clusters")
    first.wait_for_timeout(400)  # the view is written to the address a moment after it rests
    second = open_page(first.url.rpartition("/")[2])
    assert answers(second) == listed
    drawn(second, "clusters")
    assert second.locator("#search-text").input_value() == "kangaroo reef"
    assert second.url == first.url


def test_a_link_to_a_place_shows_it_with_answers_and_a_click_does_not_move_the_map(open_page):
    page = open_page("#place=178,-40&compare=1", DESK)
    answers(page)
    page.wait_for_timeout(600)  # the view is written to the address a moment after it rests
    assert in_sight(page, ".pin") == [True]
    assert sum(in_sight(page, ".marker")) >= 5
    view = page.url.rpartition("view=")[2]
    page.locator("#map-1 canvas").first.click(position={"x": 100, "y": 300})
    page.wait_for_url(lambda url: "place=178" not in url)
    answers(page)
    page.wait_for_timeout(600)
    assert page.url.rpartition("view=")[2] == view


def in_sight(page, selector):
    """Whether the middles of elements on the first map are inside of it."""
    return page.locator(f"#map-1 {selector}").evaluate_all(
        """found => found.map((one) => {
            const { x, y, width, height } = one.getBoundingClientRect();
            const map = document.getElementById("map-1").getBoundingClientRect();
            const [across, down] = [x + width / 2, y + height / 2];
            return across > map.left && across < map.right && down > map.top && down < map.bottom;
        })"""
    )


def test_everything_can_be_done_by_keyboard(open_page):
    page = open_page()
    focus_by_tab(page, "#search-text")
    page.keyboard.type("bison prairie")
    page.keyboard.press("Enter")
    answers(page)
    focus_by_tab(page, "#answers button.answer")
    page.keyboard.press("Enter")
    assert page.locator("#answers button.answer[aria-expanded=true]").count() == 1
    focus_by_tab(page, "#map-1 canvas")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator("#map-1 .pin").wait_for()
    assert "place=" in page.url
    focus_by_tab(page, "#layer-1")
    page.keyboard.press("ArrowDown")
    drawn(page, "rgb")


def focus_by_tab(page, selector):
    """Press Tab until an element has the focus, and check that the focus can be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => !!document.activeElement?.matches(selector)", selector):
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(f"Tab does not lead to {selector}")


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_serious(open_page, viewport):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page("#place=5.66,51.97", viewport)
    answers(page)
    fold, legend = page.locator("#fold-1"), page.locator("#legend-1 .legend")
    assert legend.is_visible() is (viewport is DESK)
    if viewport is PHONE:
        fold.click()
        page.reload()  # the choice is kept
        answers(page)
        legend.wait_for()
        assert fold.get_attribute("aria-expanded") == "true"
    assert fold.is_visible() is (viewport is PHONE)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for tab in ("#tab-data", "#tab-search"):
            page.locator(tab).click()
            found = Axe().run(page).response["violations"]
            assert [
                (one["id"], [node["target"] for node in one["nodes"]])
                for one in found
                if one["impact"] in ("serious", "critical")
            ] == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_the_first_visit_needs_few_bytes(open_page, running, address):
    asked = set()
    page = open_page("", sent=asked.add)
    drawn(page, "none")
    assert f"{address}/static/maplibre/maplibre-gl.mjs" in asked
    assert running.compressed_bytes(asked) < MAX_BYTES
