"""Small GeoTIFFs and HDF5 files with known values, for the layouts."""

import warnings

import numpy as np
import pytest


@pytest.fixture(scope="session")
def write_tif():
    """Write pixels (bands, height, width) into a GeoTIFF whose upper left corner is at (x, y) in a UTM zone."""
    rasterio = pytest.importorskip("rasterio")
    from rasterio import Affine

    def write(path, pixels, x=500_000.0, y=5_000_000.0, gsd_m=10.0, crs="EPSG:32632", nodata=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(pixels)
        place = {} if crs is None else {"crs": crs, "transform": Affine(gsd_m, 0, x, 0, -gsd_m, y)}
        count, height, width = pixels.shape
        form = {"count": count, "height": height, "width": width, "dtype": pixels.dtype, "nodata": nodata}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path, "w", driver="GTiff", **form, **place) as file:
                file.write(pixels)
        return path

    return write


@pytest.fixture
def write_h5():
    """Write data sets by name into an HDF5 file."""
    h5py = pytest.importorskip("h5py")

    def write(path, **entries):
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for name, values in entries.items():
                file.create_dataset(name.replace("_", "-"), data=values)
        return path

    return write
