"""Principal components of a vector's numbers, each of spread 1: many correlated bands as a few that are not."""

import numpy as np
from jaxtyping import Float64

from geotether.moments import principal_axes


def whitening_axes(covariance: Float64[np.ndarray, "d d"], components: int) -> Float64[np.ndarray, "d k"]:
    """Give the axes on which centred rows become their principal components, uncorrelated and of variance 1.

    Args:
        covariance: Of the rows.
        components: How many, the most varying first. Those that do not vary become 0.

    Returns:
        One column a component. Of both directions of an axis the one whose largest number is positive.

    Source:
        Jolliffe (2002), Principal Component Analysis, 2nd ed., section 2.1.
    """
    variances, axes = principal_axes(covariance, components)
    varies = variances > 1e-10 * max(float(variances[0]), 1e-300)
    return np.where(varies, axes / np.sqrt(np.where(varies, variances, 1.0)), 0.0)
