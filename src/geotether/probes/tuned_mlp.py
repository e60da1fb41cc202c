"""Neural probe whose size, rate and decay are searched for inside the training rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, Shaped

from geotether.probes.mlp import MlpProbe
from geotether.probes.target import Target, as_target

WIDTHS = (64, 128, 256)
LAYERS = (1, 2, 3)
RATES = (3e-4, 3e-3)
DECAYS = (1e-4, 1e-1)
DROPOUTS = (0.0, 0.2, 0.4)


@dataclass(frozen=True)
class Trial:
    """One candidate network.

    Args:
        hidden_dim: Width of the hidden layers.
        num_layers: Number of hidden layers.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        dropout: Share of hidden activations dropped while training.
    """

    hidden_dim: int = 256
    num_layers: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    dropout: float = 0.2

    def __str__(self) -> str:
        """Write as 2 x 128, rate 1e-03, decay 1e-02, dropout 0.2."""
        size = f"{self.num_layers} x {self.hidden_dim}"
        return f"{size}, rate {self.learning_rate:.0e}, decay {self.weight_decay:.0e}, dropout {self.dropout:g}"


class TunedMlpProbe:
    """A multilayer perceptron whose hyper-parameters are tuned for every encoder and task, as SatCLIP's authors do.

    The first trial is `MlpProbe` as it stands, the others are drawn at random; the one with the smallest loss on the
    held-out fifth of the inner folds wins. Test rows play no part. SatCLIP's published code searches with Optuna over
    width, layers, rate and decay; random search of the same ranges needs no further library.

    Args:
        kind: "regression", "classification" or "multilabel".
        num_trials: Number of candidates, 1 or more.
        max_epochs: Passes over the training rows at most, for every candidate.
        seed: Seed of the candidates and of everything random in them.

    Attributes:
        trial_: The chosen candidate.
        probe_: Its fitted `MlpProbe`.

    Source:
        Klemmer et al. (2025), SatCLIP, arXiv:2311.17179, section 4 (MLP on frozen embeddings, tuned per task);
        Bergstra & Bengio (2012), JMLR 13:281 (random search).

    Example:
        >>> x = np.linspace(-1, 1, 100)[:, None]
        >>> probe = TunedMlpProbe("classification", num_trials=2).fit(x, np.where(x[:, 0] > 0, "east", "west"))
        >>> probe.predict(np.array([[-0.9], [0.9]])).tolist()
        ['west', 'east']
    """

    def __init__(self, kind: str = "regression", num_trials: int = 6, max_epochs: int = 60, seed: int = 0) -> None:
        self.kind = kind
        self.num_trials = num_trials
        self.max_epochs = max_epochs
        self.seed = seed

    def fit(
        self,
        features: Float[np.ndarray, "n d"],
        target: Target | Shaped[np.ndarray, "_ *c"],
        folds: Integer[np.ndarray, " _"] | None = None,
    ) -> "TunedMlpProbe":
        """Try every candidate on the training rows and keep the best.

        Args:
            features: Features of the training rows, shape (n, d).
            target: Their labels, shape (n,).
            folds: The inner fold of each row; about a fifth of the rows, in whole folds, decides.

        Returns:
            The fitted probe.

        Raises:
            ValueError: If lengths differ or `num_trials` is below 1.
        """
        if self.num_trials < 1:
            raise ValueError(f"num_trials must be 1 or more, got {self.num_trials}.")
        target = as_target(target, self.kind)
        best: MlpProbe | None = None
        for trial in draw_trials(self.num_trials, self.seed):
            probe = MlpProbe(
                target.kind, trial.hidden_dim, trial.num_layers, trial.dropout, trial.learning_rate,
                trial.weight_decay, max_epochs=self.max_epochs, seed=self.seed,
            ).fit(features, target, folds)  # fmt: skip
            if best is None or probe.held_out_loss_ < best.held_out_loss_:
                best, self.trial_ = probe, trial
        assert best is not None
        self.probe_ = best
        return self

    def predict(self, features: Float[np.ndarray, "m d"]) -> Shaped[np.ndarray, "m *c"]:
        """Predict a number, a class or labels for each row."""
        return self.probe_.predict(features)


def draw_trials(count: int, seed: int) -> list[Trial]:
    """The first trial is the usual one; the others are drawn, rates and decays log-uniformly.

    Example:
        >>> [trial.num_layers for trial in draw_trials(1, seed=0)]
        [1]
    """
    rng = np.random.default_rng([seed, 3])
    drawn = [
        Trial(
            int(rng.choice(WIDTHS)),
            int(rng.choice(LAYERS)),
            float(np.exp(rng.uniform(*np.log(RATES)))),
            float(np.exp(rng.uniform(*np.log(DECAYS)))),
            float(rng.choice(DROPOUTS)),
        )
        for _ in range(count - 1)
    ]
    return [Trial(), *drawn]
