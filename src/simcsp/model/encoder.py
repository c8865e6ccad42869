"""The encoder: made from scratch or loaded, always a Hugging Face masked language model.

Shapes: ``B`` windows, ``T`` tokens with ``[CLS]`` and ``[SEP]``, ``P`` width of the pooled embedding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForMaskedLM, BertConfig, ModernBertConfig, PreTrainedModel

from simcsp import storage
from simcsp.config import EncoderConfig, Pooling
from simcsp.errors import InputError
from simcsp.model.attention import IMPLEMENTATION
from simcsp.model.dropout import use_own_dropout
from simcsp.model.splicebert import PUBLISHED, initial_folder, say_if_length_is_new
from simcsp.model.states import encode, pooled_width
from simcsp.model.tokenizer import check_vocabulary, export_tokenizer
from simcsp.sequence.alphabet import CLS, PAD, SEP, VOCABULARY

SCRATCH = "scratch"
WEIGHTS, HEAD = "model.safetensors", "head.safetensors"
_ROPE_THETA = 10_000.0  # ModernBERT's 160,000 for global layers serves 8,192 tokens; windows have hundreds
_ARCHITECTURES = ("bert", "modernbert")


def load_encoder(config: EncoderConfig, tokens: int, seed: int) -> PreTrainedModel:
    """The model that ``config`` asks for.

    Args:
        config: architecture, or checkpoint: a folder, or the name of a published one, which is fetched if need be.
        tokens: longest input in tokens.
        seed: of the initial weights when made from scratch.

    Raises:
        InputError: if there is no layer ``config.layer`` below those that are to be removed later, or as
            :func:`load_checkpoint` and :func:`~simcsp.model.splicebert.published_checkpoint` do.
    """
    if config.init == SCRATCH:
        model = _fresh(_architecture(config, tokens), seed)
    else:
        model = load_checkpoint(initial_folder(config.init), dropout=config.dropout, tokens=tokens)
    require_layers(config, model.config.num_hidden_layers)
    return model


def require_layers(config: EncoderConfig, layers: int) -> None:
    """Make sure that an encoder of so many layers has the one that is pooled, once those to be removed are.

    Raises:
        InputError: if it has not.
    """
    depth = layers - config.drop_layers
    if depth < 1:
        raise InputError(
            f"encoder.drop_layers is {config.drop_layers}, the encoder has {depth + config.drop_layers} layers",
            hint="Leave at least one",
        )
    if not -depth - 1 <= config.layer <= depth:
        raise InputError(
            f"encoder.layer is {config.layer}, the encoder has {depth} layers"
            f"{' once those of encoder.drop_layers are removed' if config.drop_layers else ''}",
            hint=f"Give 0 (the embedding) to {depth}, or -1 for the last",
        )


def load_checkpoint(folder: Path, *, dropout: float, tokens: int) -> PreTrainedModel:
    """The model in a checkpoint folder, in fp32.

    Weights are read from ``model.safetensors``, or from the ``pytorch_model.bin`` of older checkpoints (the
    published SpliceBERT's among them), which torch reads without running code from it.

    Args:
        folder: a Hugging Face checkpoint of BERT or ModernBERT.
        dropout: of hidden states while training.
        tokens: longest input in tokens.

    Raises:
        InputError: if the checkpoint is missing, damaged, incomplete, of another architecture or vocabulary, or
            made for shorter inputs.
    """
    if (folder / storage.CHECKSUMS).exists() and (damaged := storage.damaged_files(folder)):
        raise InputError(
            f"missing or not as it was written: {', '.join(damaged)}", path=folder,
            hint=f"Make this checkpoint again; if you changed it, delete its {storage.CHECKSUMS}",
        )  # fmt: skip
    architecture = _read_architecture(folder, dropout)
    longest = architecture.max_position_embeddings
    if tokens > longest:
        raise InputError(
            f"the checkpoint takes {longest} tokens, a window makes {tokens}", path=folder,
            hint=f"Make data.window, or pretrain.lengths, at least {tokens - longest} nt shorter",
        )  # fmt: skip
    model: PreTrainedModel
    try:
        model, report = AutoModelForMaskedLM.from_pretrained(
            folder, config=architecture, attn_implementation=IMPLEMENTATION, dtype=torch.float32, local_files_only=True,
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, SafetensorError, RuntimeError, EOFError, UnpicklingError) as error:
        raise InputError(f"the weights cannot be read ({_first_line(error)})", path=folder) from error
    if missing := sorted(report["missing_keys"]):  # transformers would leave these random
        raise InputError(
            f"the checkpoint lacks {len(missing)} of the model's tensors, {missing[0]} among them", path=folder,
            hint="Give the checkpoint of a masked language model, with its prediction head",
        )  # fmt: skip
    use_own_dropout(model)
    say_if_length_is_new(folder, tokens - 2)
    return model


def initial_files(folder: Path) -> dict[str, str]:
    """Hashes of the files of a checkpoint that training or measuring starts from; empty if it is none."""
    paths = (folder / name for name in ("config.json", "model.safetensors", "pytorch_model.bin"))
    return {str(path): storage.sha256(path) for path in paths if path.is_file()}


def random_encoder(folder: Path, *, dropout: float, seed: int) -> PreTrainedModel:
    """A model of the architecture in ``folder`` with fresh random weights.

    Raises:
        InputError: if the architecture is missing, damaged, another one, or of another vocabulary.
    """
    return _fresh(_read_architecture(folder, dropout), seed)


def remove_top_layers(model: PreTrainedModel, count: int) -> None:
    """Remove the last ``count`` transformer layers in place; what is above them (norm, prediction head) stays."""
    depth = model.config.num_hidden_layers - count
    base: Any = model.base_model
    if model.config.model_type == "modernbert":
        base.layers = base.layers[:depth]
        model.config.layer_types = model.config.layer_types[:depth]
    else:
        base.encoder.layer = base.encoder.layer[:depth]
    model.config.num_hidden_layers = depth


def save_checkpoint(model: PreTrainedModel, folder: Path) -> None:
    """Write weights, configuration and tokenizer in the Hugging Face layout."""
    model.save_pretrained(folder)
    export_tokenizer(folder, model.config.max_position_embeddings)


class EncoderWithHead(nn.Module):
    """An encoder and a linear head over what it gives."""

    encoder: PreTrainedModel
    output: nn.Linear

    def save(self, folder: Path) -> None:
        """Write the encoder as a Hugging Face checkpoint, and the head beside it."""
        save_checkpoint(self.encoder, folder)
        save_file(self.output.state_dict(), folder / HEAD)

    def restore(self, folder: Path) -> None:
        """Read what :meth:`save` wrote."""
        load_model(self.encoder, folder / WEIGHTS)
        self.output.load_state_dict(load_file(folder / HEAD))


class SiteClassifier(EncoderWithHead):
    """Encoder, pooling, dropout, and one logit for "this is a splice site"."""

    def __init__(self, encoder: PreTrainedModel, *, pooling: Pooling, layer: int, dropout: float, seed: int) -> None:
        super().__init__()
        self.encoder, self.pooling, self.layer = encoder, pooling, layer
        self.dropout = nn.Dropout(dropout)
        with seeded(seed):
            self.output = nn.Linear(pooled_width(encoder, pooling), 1)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T)`` tokens → ``(B,)`` logits and the ``(B, P)`` pooled embeddings they were made from."""
        embedding = encode(self.encoder, tokens.long(), pooling=self.pooling, layer=self.layer).pooled
        logits = self.output(self.dropout(embedding)).squeeze(-1)
        return logits.float(), embedding.float()


def load_classifier(folder: Path, *, pooling: Pooling, layer: int, tokens: int) -> SiteClassifier:
    """A fine-tuned classifier, without dropout, from the folder that it was saved to.

    Raises:
        InputError: as :func:`load_checkpoint`; the hashes in the folder are of encoder and head.
    """
    encoder = load_checkpoint(folder, dropout=0.0, tokens=tokens)
    classifier = SiteClassifier(encoder, pooling=pooling, layer=layer, dropout=0.0, seed=0)
    classifier.output.load_state_dict(load_file(folder / HEAD))
    return classifier


def _architecture(config: EncoderConfig, tokens: int) -> BertConfig | ModernBertConfig:
    size: dict[str, Any] = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "max_position_embeddings": tokens,
        "pad_token_id": PAD,
    }
    if config.architecture == "bert":
        architecture: BertConfig | ModernBertConfig = BertConfig(**size)
    else:  # its own defaults for these ids lie outside the vocabulary
        special: dict[str, Any] = {"cls_token_id": CLS, "sep_token_id": SEP, "bos_token_id": CLS, "eos_token_id": SEP}
        rotary: dict[str, Any] = {"global_rope_theta": _ROPE_THETA, "local_rope_theta": _ROPE_THETA}
        architecture = ModernBertConfig(**size, **special, **rotary, local_attention=config.local_attention)
    _set_dropout(architecture, config.dropout)
    return architecture


def _read_architecture(folder: Path, dropout: float) -> BertConfig | ModernBertConfig:
    if not (folder / "config.json").is_file():
        raise InputError(
            "no checkpoint here (config.json is missing)", path=folder,
            hint=f"Published ones are known by name: {', '.join(PUBLISHED)}",
        )  # fmt: skip
    architecture: BertConfig | ModernBertConfig
    try:
        architecture = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (ValueError, OSError, StrictDataclassError) as error:
        raise InputError(f"config.json cannot be read ({_first_line(error)})", path=folder) from error
    if architecture.model_type not in _ARCHITECTURES:
        raise InputError(
            f"a model of type {architecture.model_type!r}", path=folder / "config.json",
            hint=f"Give a checkpoint of type {' or '.join(_ARCHITECTURES)}",
        )  # fmt: skip
    check_vocabulary(folder, architecture.vocab_size)
    architecture.output_hidden_states = False  # published SpliceBERT has True, which keeps all layers in memory
    _set_dropout(architecture, dropout)
    return architecture


def _set_dropout(architecture: BertConfig | ModernBertConfig, dropout: float) -> None:
    """Dropout of hidden states only: on attention weights it would keep the fast attention off."""
    if architecture.model_type == "modernbert":
        architecture.embedding_dropout = architecture.mlp_dropout = dropout
        architecture.attention_dropout = 0.0
    else:
        architecture.hidden_dropout_prob = dropout
        architecture.attention_probs_dropout_prob = 0.0


def _fresh(architecture: BertConfig | ModernBertConfig, seed: int) -> PreTrainedModel:
    with seeded(seed):
        model: PreTrainedModel = AutoModelForMaskedLM.from_config(  # type: ignore[no-untyped-call]
            architecture, attn_implementation=IMPLEMENTATION, dtype=torch.float32
        )
    use_own_dropout(model)
    return model


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights, always made on the CPU, from ``seed``; all random states stay as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
