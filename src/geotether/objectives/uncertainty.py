"""Weights of the terms of a loss, learned with everything else."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

FORMS = ("kendall", "corrected")
"""Which penalty keeps the weights from going to zero: log s, or log(1 + s^2), which is never below 0."""


class UncertaintyWeights(nn.Module):
    """Weigh each term L by 1 / (2 s^2), where s is its own noise, learned by gradient.

    "kendall" adds log s to each weighted term, so the best s^2 is L itself, and the sum falls without end as a term
    goes to 0. "corrected" adds log(1 + s^2): the sum stays above 0, and the best s^2 is (L + sqrt(L^2 + 8 L)) / 4.

    Args:
        names: Names of the terms.
        form: One of `FORMS`.

    Attributes:
        log_variance: log s^2 of each term, shape (terms,), 0 at the start, so that all terms start at one half.

    Raises:
        ValueError: If there are no names, one comes twice, or the form is unknown.

    Source:
        Kendall, Gal & Cipolla (2018), CVPR, arXiv:1705.07115, eq. 7 (the sum of regression terms; it is taken for
        all terms here). Liebel & Koerner (2018), "Auxiliary Tasks in Multi-task Learning", arXiv:1805.06334
        (the corrected penalty).

    Example:
        >>> weights = UncertaintyWeights(["task", "contrast"])
        >>> weights({"task": torch.tensor(3.0), "contrast": torch.tensor(1.0)}).item()
        2.0
    """

    def __init__(self, names: Sequence[str], form: str = "kendall") -> None:
        super().__init__()
        if not names or len(set(names)) != len(names):
            raise ValueError(f"names must be one or more different texts, got {list(names)}.")
        if form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}; got {form!r}.")
        self.names = tuple(names)
        self.form = form
        self.log_variance = nn.Parameter(torch.zeros(len(names)))

    def forward(self, terms: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Add up weighted terms and their penalties.

        Args:
            terms: Every term by its name, each 0 or more.

        Returns:
            The sum.

        Raises:
            ValueError: If the terms are not those of `names`.
        """
        if set(terms) != set(self.names):
            raise ValueError(f"the terms are {', '.join(terms) or 'none'}, but the weights {', '.join(self.names)}.")
        values = torch.stack([terms[name] for name in self.names])
        log_variance = self.log_variance.to(values.dtype)
        # log(1 + s^2) of log s^2 is softplus, which does not overflow.
        penalty = log_variance / 2 if self.form == "kendall" else nn.functional.softplus(log_variance)
        return (values * (-log_variance).exp() / 2 + penalty).sum()

    def weights(self) -> dict[str, float]:
        """Give the weight 1 / (2 s^2) of each term, for logs.

        Example:
            >>> UncertaintyWeights(["task"]).weights()
            {'task': 0.5}
        """
        return dict(zip(self.names, ((-self.log_variance.detach()).exp() / 2).tolist(), strict=True))
