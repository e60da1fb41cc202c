"""The configuration of local context: rasters, land, scales and observations."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from geotether.settings import Section


class RasterConfig(Section):
    """A raster, or several that continue each other, from which context is made; see `geotether.context.rasters`.

    Attributes:
        path: File, or pattern of files, relative to `data`.
        bands: Names of the bands, or numbers from 1; null takes all.
        variable: For NetCDF and Zarr: one variable or more; null takes all on the grid.
        select: For NetCDF and Zarr: a value or a list by further dimension, such as {time: "2020-07"}.
        crs: Coordinate reference system of a raster that does not state one.
        transform: Applied to the pixels first, for heavy tails: `sqrt` or `log1p`.
        filters: Number of random filters; 0 takes mean and spread of each band.
        patch: Side of a filter in pixels, odd.
        components: Principal components that are kept; one number, or one per scale of the context.
        licence: Licence of the data, for the model card.
        origin: Where the data come from, for the model card.
    """

    path: Path
    bands: list[int | str] | None = Field(default=None, min_length=1)
    variable: str | list[str] | None = None
    select: dict[str, Any] | None = None
    crs: str | None = None
    transform: Literal["sqrt", "log1p"] | None = None
    filters: int = Field(default=96, ge=0)
    patch: int = Field(default=5, ge=1)
    components: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] = 48
    licence: str = ""
    origin: str = ""

    @field_validator("patch")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"patch must be odd, so that a filter has a centre; try {value + 1}.")
        return value


class LandConfig(Section):
    """Polygons of land: `path`, relative to `data`; licence and origin for the model card."""

    path: Path
    licence: str = ""
    origin: str = ""


class ObservationsConfig(Section):
    """Observations as context: `components` of each table (0: none), averaged within about `reach_km` of a place.

    `tables` names those that take part; null takes all.
    """

    components: int = Field(default=0, ge=0)
    reach_km: float = Field(default=25.0, gt=0)
    tables: list[str] | None = None


class ContextConfig(Section):
    """Local context, what there is around a place; see `geotether.context`.

    Attributes:
        rasters: Name to raster; an input of the network and a part of the projected readout.
        land: Polygons outside of which rasters count as one background, such as the sea.
        scales_km: Standard deviations of the Gaussians with which rasters are smoothed.
        observations: Observations of the training rows; a part of the projected readout.
        dropout: Share of the raster context, by place and scale, that the network does not get in training.
        noise: Standard deviation of the noise that is added to the standardised raster context in training.
    """

    rasters: dict[str, RasterConfig] = Field(default_factory=dict)
    land: LandConfig | None = None
    scales_km: list[Annotated[float, Field(gt=0)]] = Field(default=[15.0, 30.0, 100.0, 300.0], min_length=1)
    observations: ObservationsConfig = Field(default_factory=ObservationsConfig)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _count_scales(self) -> "ContextConfig":
        for name, raster in self.rasters.items():
            if isinstance(raster.components, list) and len(raster.components) != len(self.scales_km):
                raise ValueError(
                    f"rasters.{name}.components has {len(raster.components)} numbers, but scales_km has "
                    f"{len(self.scales_km)}; give one number, or one per scale."
                )
        return self

    def components_of(self, raster: str) -> list[int]:
        """Return the number of components of a raster at each scale."""
        given = self.rasters[raster].components
        return [given] * len(self.scales_km) if isinstance(given, int) else list(given)
