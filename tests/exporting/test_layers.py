import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

import geotether
from geotether.exporting.layers import Clusters, Principal, fit_layer, on_land


@pytest.fixture
def sample():
    """Three far groups of places."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(600, 6)) + 20 * np.eye(3, 6)[np.arange(600) % 3]).astype(np.float32)


def test_colours_are_scaled_principal_components(sample):
    layer = Principal.fit(sample)
    scores = PCA(3).fit_transform(sample.astype(np.float64))
    colours = layer.stored(sample)
    assert colours.min() == 1
    assert colours.max() == 255
    for axis in range(3):
        assert abs(np.corrcoef(scores[:, axis], colours[:, axis])[0, 1]) > 0.98
        assert (colours[:, axis] == 255).mean() == pytest.approx(0.02, abs=0.015)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_colours_of_few_or_equal_places_are_defined(sample, rows):
    assert Principal.fit(sample[:rows]).stored(sample[:rows]).min() >= 1
    assert Principal.fit(np.repeat(sample[:1], rows, axis=0)).stored(sample[:1]).shape == (1, 3)


def test_clusters_are_those_of_k_means(sample):
    layer = Clusters.fit(sample, 3)
    found = layer.stored(sample)[:, 0]
    expected = KMeans(3, n_init=3, random_state=0).fit_predict(sample)
    assert {(a, b) for a, b in zip(found.tolist(), expected.tolist(), strict=True)}.__len__() == 3
    assert sorted(set(found.tolist())) == [1, 2, 3]
    assert sum(layer.sizes) == 600


@pytest.mark.parametrize("count", [2, 9, 10, 64])
def test_every_cluster_has_a_colour_of_its_own(sample, count):
    colours = Clusters.fit(sample, count).colours
    assert len(set(colours.values())) == count
    assert list(colours) == list(range(1, count + 1))


def test_more_clusters_than_places_are_refused(sample):
    with pytest.raises(ValueError, match="needs 8 places"):
        Clusters.fit(sample[:5], 8)
    with pytest.raises(ValueError, match="three numbers"):
        Principal.fit(sample[:, :2])


def test_places_at_sea_do_not_count(sample):
    land = np.arange(600) % 3 == 0
    layer = fit_layer("rgb", sample, land)
    np.testing.assert_allclose(layer.mean, sample[land].astype(np.float64).mean(axis=0))
    assert on_land(np.array([[5.66, 51.97], [-30.0, 30.0], [20.0, -85.0]])).tolist() == [True, False, True]


def test_layers_are_pictures_with_a_map_beside_them(small_model, tmp_path):
    import rasterio

    from geotether.maps.figure import save_figure
    from geotether.maps.layers import layer_map

    for layer, colours in (("rgb", 3), ("clusters:4", 4)):
        out = tmp_path / f"{layer[:3]}.tif"
        done = geotether.export(small_model, out, "Kenya", "50km", layer=layer, progress="none")
        figure = layer_map(done)
        shown = figure.axes[0].images[0].get_array()
        with rasterio.open(out) as file:
            known = file.read(1) > 0
            assert file.count == (3 if layer == "rgb" else 1)
            if layer != "rgb":
                assert {file.colormap(1)[at][:3] for at in range(1, 5)} == set(done.coding.colours.values())
        assert 200 < known.sum() < 300  # of 580,000 km2
        np.testing.assert_array_equal(shown[..., 3] > 0, known)
        assert "Kenya" in figure.get_suptitle()
        assert len(np.unique(shown[known].reshape(-1, 4), axis=0)) >= colours
        assert save_figure(figure, out.with_suffix(".png")).stat().st_size > 10_000
