"""Sentence encoders, as they are and with random weights.

They come from sentence-transformers, an optional extra: nothing else of SimCSP reads text.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel

from simcsp.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH = 64


def load_sentence_encoder(name: str) -> "SentenceTransformer":
    """The encoder in a folder, or of that name on the Hugging Face hub; no code that comes with it is run.

    Raises:
        InputError: if sentence-transformers is not installed, or there is no such encoder.
    """
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - an optional extra
    except ImportError:
        hint = "Install them with: pip install -e '.[sentences]'"
        raise InputError("sentence encoders need the package sentence-transformers", hint=hint) from None
    try:
        return SentenceTransformer(name, trust_remote_code=False, local_files_only=Path(name).exists())
    except (OSError, ValueError) as error:
        hint = "Give a folder that SentenceTransformer.save wrote, or a name on the hub"
        raise InputError(f"no sentence encoder can be loaded from {name!r}", hint=hint) from error


def untrain(encoder: "SentenceTransformer", seed: int) -> None:
    """Give the transformer of an encoder random weights; tokenizer and pooling stay."""
    transformer: Any = encoder[0]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        fresh = AutoModel.from_config(transformer.model.config)  # type: ignore[no-untyped-call]
    transformer.model.load_state_dict(fresh.state_dict())


def embed_sentences(encoder: "SentenceTransformer", texts: list[str]) -> NDArray[np.float32]:
    """Embeddings ``(n, d)`` without dropout."""
    return np.asarray(encoder.encode(texts, batch_size=_BATCH, show_progress_bar=None), dtype=np.float32)
