"""Neural probe: one to three hidden layers on frozen features, stopped early on held-out blocks; or tuned."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from geotether.moments import mean_and_scale
from geotether.probes.logistic import held_out_fifth
from geotether.probes.target import ProbeTarget, TargetProbe


@dataclass(eq=False)
class MlpProbe(TargetProbe):
    """A multilayer perceptron on standardised features, stopped early on about a fifth of the inner folds.

    The weights are those of the epoch with the smallest loss on the held-out fifth, which is not trained on. Everything
    random (initial weights, order of rows, dropout) depends on the seed only.

    Args:
        kind: "regression", "classification" or "multilabel".
        hidden_dim: Width of the hidden layers.
        num_layers: Number of hidden layers, 1 to 3.
        dropout: Share of hidden activations dropped while training.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW, on matrices and biases.
        batch_size: Most rows per step; a sixteenth of the training rows if those are few.
        max_epochs: Most passes over the training rows.
        patience: Epochs without a smaller held-out loss before stopping.
        seed: Seed of everything random.

    Attributes:
        epochs_: The epoch of the weights, from 1.
        held_out_loss_: Its loss on the held-out fifth; infinite if nothing was held out.

    Example:
        >>> x = np.linspace(-1, 1, 200)[:, None]
        >>> probe = MlpProbe(hidden_dim=32, max_epochs=200, patience=50).fit(x, np.abs(x[:, 0]))
        >>> bool(abs(probe.predict(np.array([[-0.5]]))[0] - 0.5) < 0.15)
        True
    """

    kind: str = "regression"
    hidden_dim: int = 256
    num_layers: int = 1
    dropout: float = 0.2
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    batch_size: int = 256
    max_epochs: int = 60
    patience: int = 6
    seed: int = 0

    def __str__(self) -> str:
        """Write as 2 x 128, rate 1e-03, decay 1e-02, dropout 0.2."""
        size, rate = f"{self.num_layers} x {self.hidden_dim}", f"rate {self.learning_rate:.0e}"
        return f"{size}, {rate}, decay {self.weight_decay:.0e}, dropout {self.dropout:g}"

    def _fit(self, features: Float[np.ndarray, "n d"], folds: Integer[np.ndarray, " n"] | None) -> None:
        if self.num_layers not in (1, 2, 3):
            raise ValueError(f"num_layers must be 1, 2 or 3, got {self.num_layers}.")
        held = held_out_fifth(folds, len(features))
        # Of all training rows, since labels are not used.
        self.mean_, self.scale_ = mean_and_scale(features)
        x = torch.from_numpy(self._standardise(features))
        y, loss_of = self._target_tensor(self.target_)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._train(x, y, torch.from_numpy(held), loss_of)

    def _target_tensor(self, target: ProbeTarget) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
        """Return the labels as a tensor, numbers standardised, and their loss."""
        if target.kind == "classification":
            return torch.from_numpy(target.codes.astype(np.int64)), cross_entropy
        if target.kind == "multilabel":
            return torch.from_numpy(target.columns).float(), binary_cross_entropy_with_logits
        values = target.columns
        self.target_mean_, self.target_scale_ = float(values.mean()), float(values.std()) or 1.0
        return torch.from_numpy((values - self.target_mean_) / self.target_scale_).float(), mse_loss

    def _network(self, in_dim: int, out_dim: int) -> nn.Sequential:
        """Build linear, GELU and dropout per hidden layer, then a linear map to the outputs."""
        layers: list[nn.Module] = []
        for width in [in_dim] + [self.hidden_dim] * (self.num_layers - 1):
            layers += [nn.Linear(width, self.hidden_dim), nn.GELU(), nn.Dropout(self.dropout)]
        return nn.Sequential(*layers, nn.Linear(self.hidden_dim, out_dim))

    def _train(self, x: Tensor, y: Tensor, held: Tensor, loss_of: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Train with AdamW until the held-out loss has not decreased for `patience` epochs."""
        network = self._network(x.shape[1], self._num_columns())
        optimiser = torch.optim.AdamW(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        train, best, kept = (~held).nonzero()[:, 0], float("inf"), copy.deepcopy(network.state_dict())
        self.epochs_ = 0
        batch = min(self.batch_size, max(16, len(train) // 16))
        for epoch in range(1, self.max_epochs + 1):
            network.train()
            for rows in train[torch.randperm(len(train))].split(batch):
                optimiser.zero_grad()
                loss_of(network(x[rows]), y[rows]).backward()
                optimiser.step()
            network.eval()
            if not held.any():  # a single fold: run all epochs
                kept, self.epochs_ = network.state_dict(), epoch
                continue
            with torch.inference_mode():
                loss = float(loss_of(network(x[held]), y[held]))
            if loss < best:
                best, self.epochs_, kept = loss, epoch, copy.deepcopy(network.state_dict())
            elif epoch - self.epochs_ >= self.patience:
                break
        network.load_state_dict(kept)
        self.held_out_loss_ = best
        self.network_ = network.eval()

    def _standardise(self, features: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m d"]:
        return ((features - self.mean_) / self.scale_).astype(np.float32)

    def columns(self, features: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m t"]:
        """Return the number, one logit per class, or the probability of each label."""
        with torch.inference_mode():
            parts = [
                self.network_(torch.from_numpy(self._standardise(features[start : start + 16_384]))).numpy()
                for start in range(0, len(features), 16_384)
            ]
        out = np.concatenate([*parts, np.empty((0, self._num_columns()))]).astype(np.float64)
        if self.kind == "multilabel":
            return 1.0 / (1.0 + np.exp(-out))
        return out * self.target_scale_ + self.target_mean_ if self.kind == "regression" else out

    def _num_columns(self) -> int:
        return len(self.target_.classes) if self.kind == "classification" else self.target_.columns.shape[1]


WIDTHS = (64, 128, 256)
LAYERS = (1, 2, 3)
RATES = (3e-4, 3e-3)
DECAYS = (1e-4, 1e-1)
DROPOUTS = (0.0, 0.2, 0.4)


@dataclass(eq=False)
class TunedMlpProbe(TargetProbe):
    """A multilayer perceptron whose hyper-parameters are tuned for every encoder and task, as in SatCLIP.

    The first of `num_trials` trials has the defaults of `MlpProbe`, the others are drawn at random; the one with the
    smallest loss on the held-out fifth of the inner folds is chosen, as `probe_`. SatCLIP's published code searches the
    same ranges of width, layers, rate and decay with Optuna.

    Source:
        Klemmer et al. (2025), SatCLIP, arXiv:2311.17179, section 4 (MLP on frozen embeddings, tuned per task);
        Bergstra & Bengio (2012), JMLR 13:281 (random search).

    Example:
        >>> x = np.linspace(-1, 1, 100)[:, None]
        >>> probe = TunedMlpProbe("classification", num_trials=2).fit(x, np.where(x[:, 0] > 0, "east", "west"))
        >>> probe.predict(np.array([[-0.9], [0.9]])).tolist()
        ['west', 'east']
    """

    kind: str = "regression"
    num_trials: int = 6
    max_epochs: int = 60
    seed: int = 0

    def _fit(self, features: Float[np.ndarray, "n d"], folds: Integer[np.ndarray, " n"] | None) -> None:
        if self.num_trials < 1:
            raise ValueError(f"num_trials must be 1 or more, got {self.num_trials}.")
        fitted = (probe.fit(features, self.target_, folds) for probe in self.candidates())
        self.probe_ = min(fitted, key=lambda probe: probe.held_out_loss_)

    def candidates(self) -> Iterator[MlpProbe]:
        """Yield the default probe and others drawn at random, rates and decays log-uniformly."""
        fixed: dict[str, Any] = {"kind": self.kind, "max_epochs": self.max_epochs, "seed": self.seed}
        yield MlpProbe(**fixed)
        rng = np.random.default_rng([self.seed, 3])
        for _ in range(self.num_trials - 1):
            yield MlpProbe(
                hidden_dim=int(rng.choice(WIDTHS)),
                num_layers=int(rng.choice(LAYERS)),
                learning_rate=float(np.exp(rng.uniform(*np.log(RATES)))),
                weight_decay=float(np.exp(rng.uniform(*np.log(DECAYS)))),
                dropout=float(rng.choice(DROPOUTS)),
                **fixed,
            )

    def columns(self, features: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m t"]:
        """Return the columns of the chosen candidate."""
        return self.probe_.columns(features)
