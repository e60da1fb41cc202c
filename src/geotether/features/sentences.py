"""Features of texts by a frozen sentence-transformers model."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32

from geotether.features.featurizer import PlainSettings


class SentenceFeatures(PlainSettings):
    """Embeddings of texts by any model of sentence-transformers, without training.

    Args:
        model: A folder with a model, or a name at Hugging Face that is in the local cache. Code in the folder of a
            model is never run.
        batch: Number of texts per batch; it changes speed and at most the last digits.
        max_length: Number of tokens to which texts are cut. None: the limit of the model.
        normalise: Whether to scale embeddings to length 1.
        device: Device to run on, such as "cpu" or "cuda".
        prompt: Prefix of every text, if a model needs one, such as "passage: ".
        download: Whether to fetch a missing model from Hugging Face.

    Attributes:
        out_dim: Number of features, once the model is loaded.

    Source:
        Reimers & Gurevych (2019), arXiv:1908.10084; the default model: Xiao et al. (2023), arXiv:2309.07597.
    """

    takes: ClassVar[str] = "texts"
    fit_rows: ClassVar[int] = 1

    def __init__(
        self,
        model: str = "BAAI/bge-small-en-v1.5",
        batch: int = 64,
        max_length: int | None = None,
        normalise: bool = True,
        device: str = "cpu",
        prompt: str = "",
        download: bool = False,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch must be 1 or more, got {batch}.")
        if max_length is not None and max_length < 1:
            raise ValueError(f"max_length must be 1 or more, or None, got {max_length}.")
        if not model:
            raise ValueError("model is the name or the folder of a model, got an empty text.")
        self.model, self.batch, self.max_length, self.normalise = str(model), batch, max_length, normalise
        self.device, self.prompt, self.download = device, prompt, download
        self._loaded: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Omit the model when pickled; it is loaded again when needed."""
        return self.__dict__ | {"_loaded": None}

    def fit(self, texts: Sequence[str]) -> "SentenceFeatures":
        """Load the model; nothing is fitted."""
        loaded = self._model()
        # Its name before version 5.
        dimension = getattr(loaded, "get_embedding_dimension", None) or loaded.get_sentence_embedding_dimension
        self.out_dim = int(dimension())
        self.weights_ = _weights_hash(loaded)
        return self

    def transform(self, texts: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        """Compute the features of texts, shape (n, out_dim)."""
        if not hasattr(self, "out_dim"):
            raise ValueError("These features have no model yet; call fit(texts) first.")
        if isinstance(texts, str):
            raise TypeError("texts must be a list of strings, got one string; put it into a list.")
        if len(texts) == 0:
            return np.empty((0, self.out_dim), dtype=np.float32)
        found = self._model().encode(
            list(texts),
            batch_size=self.batch,
            prompt=self.prompt or "",  # not the model's own default, which is not in the options
            normalize_embeddings=self.normalise,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(found, dtype=np.float32)

    def refuse(self, texts: Sequence[str]) -> dict[int, str]:
        """Refuse empty texts."""
        return {row: "empty text" for row, text in enumerate(texts) if not text.strip()}

    def fitted(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the width and a hash of the weights, so that another model of the same name is noticed."""
        return {"out_dim": self.out_dim, "weights": self.weights_}, {}

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "SentenceFeatures":
        """Restore the state returned by `fitted`; a model with other weights is an error."""
        self.out_dim, self.weights_ = int(values["out_dim"]), str(values["weights"])
        found = _weights_hash(self._model())
        if found != self.weights_:
            raise ValueError(
                f"The model {self.model!r} here has other weights ({found[:12]}) than the one the features were made "
                f"with ({self.weights_[:12]}); put that version back."
            )
        return self

    def names(self) -> list[str]:
        """Return the names of the features: "dimension 1" and so on."""
        return [f"dimension {number + 1}" for number in range(self.out_dim)]

    def _model(self) -> Any:
        if self._loaded is not None:
            return self._loaded
        try:
            from sentence_transformers import SentenceTransformer
        except (
            ImportError,
            RuntimeError,
            AttributeError,
        ) as error:  # versions that do not fit each other
            if isinstance(error, ModuleNotFoundError) and error.name == "sentence_transformers":
                raise ImportError(
                    "Sentence features need sentence-transformers: pip install 'geotether[text]'."
                ) from None
            raise ImportError(
                f"sentence-transformers is installed, but does not import: {type(error).__name__}: {error}. "
                "`python -c 'import sentence_transformers'` shows where; pip install --upgrade 'geotether[text]' may "
                "help."
            ) from error
        try:
            loaded = SentenceTransformer(
                self.model, device=self.device, local_files_only=not self.download, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise FileNotFoundError(self._advice(error)) from error
        if self.max_length is not None:
            longest = loaded.max_seq_length or self.max_length
            loaded.max_seq_length = min(self.max_length, longest)
        loaded.eval()
        self._loaded = loaded
        return loaded

    def _advice(self, error: Exception) -> str:
        if Path(self.model).is_dir():
            return f"The folder {self.model} contains no model that sentence-transformers can load: {error}"
        return (
            f"The model {self.model!r} is missing: it is neither a folder nor in the cache of Hugging Face. "
            "Set download=true to fetch it; or, without network, copy the model's files (config.json, "
            "model.safetensors, tokenizer.json, modules.json ...) into a folder and give that folder as model, or fill "
            "the cache elsewhere (huggingface-cli download) and copy ~/.cache/huggingface, or where HF_HOME points, "
            f"here. The error was: {str(error)[:300]}"
        )


def _weights_hash(model: Any) -> str:
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()
