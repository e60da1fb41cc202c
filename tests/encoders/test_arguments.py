"""Arguments out of range of every part of an encoder."""

import numpy as np
import pytest

from geotether.encoders.colearner import CoLearner
from geotether.encoders.heads import FeatureDecoder, ProjectionHead, SpecificParts
from geotether.encoders.layers import ByteDropout
from geotether.encoders.location import LocationEncoder
from geotether.encoders.model import TiedModel
from geotether.encoders.networks import NETWORKS, Capsules, Linear
from geotether.encoders.positional import POSITIONAL, Cartesian
from geotether.encoders.sensors.networks import ResNet
from geotether.encoders.tied_sensors import TiedSensors

SPHERE, MAP, PLACE = POSITIONAL["sphere_fourier"], POSITIONAL["equal_earth_fourier"], LocationEncoder
HARMONICS, SATCLIP = POSITIONAL["spherical_harmonics"], POSITIONAL["satclip_harmonics"]
SCALED = [POSITIONAL[name] for name in ("grid", "theory", "sphere_c", "sphere_c_plus", "sphere_m", "sphere_m_plus")]
DEEP = [NETWORKS[name] for name in ("siren", "mlp", "residual_mlp")]


DEM = {"dem": {"kind": "vector", "shape": [3]}}
BOTH = {**DEM, "soil": {"kind": "vector", "shape": [2]}}
PLACES = LocationEncoder(Cartesian(), Linear(3, 8))


def tied(heads, **options):
    return TiedModel(LocationEncoder(Cartesian(), Linear(3, 8)), heads, **options)


@pytest.mark.parametrize(
    ("make", "arguments", "options", "message"),
    [
        *((HARMONICS, (bad,), {}, "l_max must be an integer from 0 to 199") for bad in (-1, 200, True)),
        (HARMONICS, (3,), {"taper_degree": 0}, "taper_degree must be more than 0"),
        (HARMONICS, (3,), {"taper_power": -1}, "taper_power must be more than 0"),
        *((SATCLIP, (bad,), {}, "from 1 to 200") for bad in (0, 201, True)),
        (SATCLIP, (10, "discretized"), {}, "'discretized'; choose analytic or closed-form"),
        (SPHERE, (), {"sigma": 0}, "sigma more than 0"),
        (SPHERE, (0,), {}, "num_features must be 1 or more"),
        *((MAP, (bad,), {}, "every sigma more than 0") for bad in ((), (1, -1))),
        *((kind, (0,), {}, "num_scales must be 1 or more") for kind in SCALED),
        (SCALED[0], (3, 500, 400), {}, "min_wavelength_km <= max_wavelength_km"),
        *((kind, (10, 4), {"num_layers": 0}, "must be 1 or more, got 0 and 512") for kind in DEEP),
        (Capsules, (10, 4), {"num_capsules": 3}, "10 positional features .* 3 equal capsules"),
        (Capsules, (10, 4), {"num_layers": 0}, "1 or more, got 1, 1024 and 0"),
        (PLACE, (Cartesian(), Linear(9, 8)), {}, "gives 3 features and it takes 9"),
        (ProjectionHead, (0, 8), {}, "in_dim and embed_dim must be 1 or more"),
        *((FeatureDecoder, bad, {}, "must be 1 or more") for bad in ((0, 3, 2), (3, 0, 2), (3, 3, 0))),
        (FeatureDecoder(8, 9).fit, (np.zeros((3, 10)),), {}, r"rows of 9 features, got shape \(3, 10\)"),
        (SpecificParts, ({"text": 3}, 4, 0), {}, "specific_dim of 1 or more"),
        (SpecificParts, ({}, 4, 2), {}, "Needs modalities"),
        (tied, ({},), {}, "at least one modality"),
        (tied, ({"text": ProjectionHead(5, 9)},), {}, "projects to 9 and the location encoder to 8"),
        (tied, ({"text": ProjectionHead(5, 8)},), {"init_temperature": 0}, "init_temperature must be more than 0"),
        *(
            (tied, ({name: ProjectionHead(5, 8)},), {}, "is not a valid name")
            for name in ("a.b", "", "keys", "two words")
        ),
        *((ByteDropout, (share,), {}, "dropout must be") for share in (-0.1, 1.0, np.nan)),
        (ProjectionHead(5, 8).fit_standardisation, (np.zeros((0, 5)),), {}, r"got shape \(0, 5\)"),
        (TiedSensors, (DEM,), {"dim": 4, "specific_dim": 4}, "specific_dim 0 to dim - 1"),
        (TiedSensors, (DEM,), {"init_temperature": 0.0}, "init_temperature must be more than 0"),
        (TiedSensors, (DEM,), {"proj_dim": 5, "location": PLACES}, "return 5 numbers, the location encoder 8; set"),
        (CoLearner, (DEM, 4), {}, "needs two modalities or more, got dem"),
        (CoLearner, (BOTH, 4), {"wiring": "paper"}, "Unknown wiring 'paper'; known: figure, code, no_unused"),
        (CoLearner, (BOTH, 4), {"dim": 13}, "dim even"),
        (CoLearner, (BOTH, 0), {}, "num_outputs must be 1 or more"),
        (TiedSensors(DEM).fit, ("dem", np.zeros((0, 3))), {}, r"rows of shape \(3,\), got shape \(0, 3\)"),
        (ResNet, ((2, 16, 16), 8), {"norm": "layer"}, "norm must be one of group, batch, got 'layer'"),
    ],
)
def test_out_of_range_is_refused(make, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        make(*arguments, **options)
