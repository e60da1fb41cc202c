"""Mirrors src/geotether/serving/routes/tiles.py."""

import io

import numpy as np
import pytest
from PIL import Image


def test_every_layer_of_the_model_has_tiles(client):
    layers = client.get("/model").json()["models"][0]["layers"]
    assert [one["id"] for one in layers] == ["rgb", "clusters", "coverage"]
    for one in layers:
        assert one["words"].endswith(".")
        answer = client.get(one["tiles"].format(z=2, x=2, y=1))
        assert answer.headers["content-type"] == "image/png"
        picture = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert picture.shape == (256, 256, 4)
        assert 0.2 < (picture[..., 3] == 255).mean() < 0.95


def test_the_tiles_of_a_search_show_its_similarity(client):
    for address in ("/similar?lon=5.66&lat=51.97", "/search?text=walrus+fjord"):
        layer = client.get(address).json()["layer"]
        answer = client.get(layer["tiles"].format(z=1, x=1, y=0))
        assert answer.status_code == 200
        assert np.asarray(Image.open(io.BytesIO(answer.content)))[..., 3].max() > 200


def test_a_tile_that_the_client_has_is_not_sent_again(client):
    address = client.get("/model").json()["models"][0]["layers"][0]["tiles"].format(z=2, x=2, y=1)
    first = client.get(address)
    assert "immutable" in first.headers["cache-control"]
    again = client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    plain = client.get(address.partition("?")[0])
    assert plain.content == first.content
    assert plain.headers["cache-control"] == "no-cache"
    others = {
        client.get(f"/tiles/{name}").headers["etag"]
        for name in ("rgb/2/2/1.png", "rgb/2/2/2.png", "clusters/2/2/1.png")
    }
    assert len(others) == 3


@pytest.mark.parametrize(
    ("address", "status", "field"),
    [
        ("/tiles/rgbs/0/0/0.png", 404, "layer"),
        ("/tiles/rgb/1/2/0.png", 404, "x"),
        ("/tiles/rgb/15/0/0.png", 422, "z"),
        ("/tiles/rgb/0/0/0.png?model=none", 404, "model"),
        ("/tiles/similarity/0/0/0.png", 422, "lon"),
        ("/tiles/similarity/0/0/0.png?lon=200&lat=95", 422, "lat"),
        ("/tiles/similarity/0/0/0.png?image=unknown", 404, "image"),
        ("/basemap/rivers.geojson", 422, "name"),
    ],
)
def test_wrong_addresses_name_the_parameter(client, address, status, field):
    answer = client.get(address)
    assert answer.status_code == status
    assert answer.json()["detail"]["field"] == field


def test_the_base_map_is_geojson(client):
    for name in ("land", "borders", "labels"):
        answer = client.get(f"/basemap/{name}.geojson")
        assert answer.headers["content-type"] == "application/geo+json"
        assert answer.json()["type"] == "FeatureCollection"
        again = client.get(f"/basemap/{name}.geojson", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


def test_a_point_has_the_values_of_the_layers(client):
    found = client.get("/point?lon=10&lat=50").json()["layers"]
    assert set(found) == {"rgb", "clusters", "coverage"}
    assert found["clusters"]["words"].startswith("cluster ")
