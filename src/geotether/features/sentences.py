"""Features of texts by a frozen sentence-transformers model."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32


class SentenceFeatures:
    """Embeddings of texts by any model of sentence-transformers, run once, without training.

    Args:
        model: A folder with a model, or a name at Hugging Face that is in the local cache. Code that comes with a model
            is never run.
        batch: Texts at once; sorted by length by the model, so this changes speed and not more than the last digits.
        max_length: Tokens of a text that count; the rest is cut off. None: as many as the model takes.
        normalise: Bring every embedding to length 1.
        device: Where to run, such as "cpu" or "cuda".
        prompt: Put before every text, where a model wants one, such as "passage: ".
        download: Fetch the model from Hugging Face if it is not here.

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
        """Leave the model behind; it is loaded again where it is needed."""
        return self.__dict__ | {"_loaded": None}

    def fit(self, texts: Sequence[str]) -> "SentenceFeatures":
        """Load the model; nothing is learned from the texts.

        Raises:
            FileNotFoundError: If the model is not here; the message says what to put where.
            ImportError: If sentence-transformers is missing.
        """
        loaded = self._model()
        # Its name before version 5.
        dimension = getattr(loaded, "get_embedding_dimension", None) or loaded.get_sentence_embedding_dimension
        self.out_dim = int(dimension())
        self.weights_ = _weights_hash(loaded)
        return self

    def transform(self, texts: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        """Compute the features.

        Args:
            texts: Any number of texts.

        Returns:
            Shape (n, out_dim).

        Raises:
            ValueError: If nothing was fitted yet.
        """
        if not hasattr(self, "out_dim"):
            raise ValueError("These features have no model yet; call fit(texts) first.")
        if isinstance(texts, str):
            raise TypeError("texts must be a list of strings, got one string; put it into a list.")
        if len(texts) == 0:
            return np.empty((0, self.out_dim), dtype=np.float32)
        found = self._model().encode(
            list(texts),
            batch_size=self.batch,
            prompt=self.prompt or "",  # not the model's own default, which would be unsaid
            normalize_embeddings=self.normalise,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(found, dtype=np.float32)

    def refuse(self, texts: Sequence[str]) -> dict[int, str]:
        """Refuse empty texts."""
        return {row: "empty text" for row, text in enumerate(texts) if not text.strip()}

    def settings(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        names = ("model", "batch", "max_length", "normalise", "device", "prompt", "download")
        return {name: getattr(self, name) for name in names}

    def fitted(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Give the width and a hash of the model's weights, so that another model under its name is noticed."""
        return {"out_dim": self.out_dim, "weights": self.weights_}, {}

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "SentenceFeatures":
        """Take back what `fitted` gave.

        Raises:
            ValueError: If the model here has other weights than the one fitted with.
        """
        self.out_dim, self.weights_ = int(values["out_dim"]), str(values["weights"])
        found = _weights_hash(self._model())
        if found != self.weights_:
            raise ValueError(
                f"The model {self.model!r} here has other weights ({found[:12]}) than the one the features were made "
                f"with ({self.weights_[:12]}); put that version back."
            )
        return self

    def names(self) -> list[str]:
        """Name the features: "dimension 1" and so on."""
        return [f"dimension {number + 1}" for number in range(self.out_dim)]

    def _model(self) -> Any:
        if self._loaded is not None:
            return self._loaded
        try:
            from sentence_transformers import SentenceTransformer
        except (ImportError, RuntimeError, AttributeError) as error:  # of libraries that do not fit each other as well
            if isinstance(error, ModuleNotFoundError) and error.name == "sentence_transformers":
                raise ImportError(
                    "Sentence features need sentence-transformers: pip install 'geotether[text]'."
                ) from None
            raise ImportError(
                f"sentence-transformers is installed, but does not import: {type(error).__name__}: {error}. "
                "`python -c 'import sentence_transformers'` shows where; pip install --upgrade 'geotether[text]' may "
                "mend it."
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
            return f"The folder {self.model} holds no model that sentence-transformers can load: {error}"
        return (
            f"The model {self.model!r} is not here: no folder of that name and not in the cache of Hugging Face. Allow "
            "it to be fetched with download=true; or, without network, copy the model's files (config.json, "
            "model.safetensors, tokenizer.json, modules.json ...) into a folder and give that folder as model, or fill "
            "the cache elsewhere (huggingface-cli download) and copy ~/.cache/huggingface, or where HF_HOME points, "
            f"here. What was said: {str(error)[:300]}"
        )


def _weights_hash(model: Any) -> str:
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()
