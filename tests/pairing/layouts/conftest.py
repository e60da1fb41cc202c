"""Small GeoTIFFs and HDF5 files with known values, for the layouts."""

import pytest


@pytest.fixture(scope="session")
def write_tif(write_geotiff):
    """Write pixels (bands, height, width) into a GeoTIFF whose upper left corner is at (x, y) in a UTM zone."""

    def write(path, pixels, x=500_000.0, y=5_000_000.0, gsd_m=10.0, crs="EPSG:32632", nodata=None):
        return write_geotiff(path, pixels, crs and (gsd_m, 0, x, 0, -gsd_m, y), crs, nodata=nodata)

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
