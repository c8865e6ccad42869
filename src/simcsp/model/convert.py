"""Checkpoints of BERT as transformers 4 pickled them, written anew as safetensors.

The published SpliceBERT folders hold ``config.json``, ``pytorch_model.bin``, ``vocab.txt`` and files of the tokenizer,
saved by transformers 4.18 to 4.24. What is converted has the same masked language model under the names of today, and
a tokenizer that reads un-spaced DNA.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from simcsp.errors import InputError
from simcsp.model.tokenizer import check_vocabulary, export_tokenizer

WEIGHTS = "pytorch_model.bin"

_CLASS = "BertForMaskedLM"
# TensorFlow's names of the parts of a layer norm, which older versions of transformers kept.
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
# Numbers from 0 and zeros that older versions stored, and the pooler, which a masked language model does not use.
_WITHOUT_MEANING = re.compile(r"bert\.(embeddings\.(position_ids|token_type_ids)|pooler\.dense\.(weight|bias))")
_TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


def convert_checkpoint(source: Path, target: Path) -> int:
    """Write the masked language model in ``source`` to the empty folder ``target`` as safetensors.

    The pickle is read by torch's restricted reader, which builds tensors and runs nothing.

    Args:
        source: folder with ``config.json``, ``vocab.txt`` and ``pytorch_model.bin``.
        target: folder that gets ``config.json``, ``model.safetensors`` and the tokenizer.

    Returns:
        Number of parameters, tied ones once.

    Raises:
        InputError: if a file is missing or damaged, the model is another one than BERT for masked language modelling
            with SpliceBERT's vocabulary, a tensor is missing, too many or of another shape, or the prediction head is
            not tied to the embedding.
    """
    architecture = _read_architecture(source)
    tensors = _renamed(_read_pickle(source / WEIGHTS))
    for name, twin in _TIED.items():
        if name in tensors and twin in tensors and not torch.equal(tensors[name], tensors[twin]):
            raise InputError(f"{name} is not {twin}, to which it should be tied", path=source / WEIGHTS)
        tensors.pop(name, None)
    with torch.device("meta"):  # no weights are drawn: all of them are in the file
        model = BertForMaskedLM(architecture)
    _check_tensors(tensors, model.state_dict(), source / WEIGHTS)
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False, assign=True)
    model.tie_weights()
    model.save_pretrained(target)
    export_tokenizer(target, architecture.max_position_embeddings)
    return int(model.num_parameters())


def _read_architecture(folder: Path) -> BertConfig:
    path = folder / "config.json"
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("architectures") != [_CLASS] or stored.get("model_type") != "bert":
            raise InputError(f"this is the configuration of another model than {_CLASS}", path=path)
        architecture = BertConfig.from_dict(stored)
    except FileNotFoundError:
        raise InputError("no checkpoint here (config.json is missing)", path=folder) from None
    except (ValueError, TypeError, AttributeError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"config.json cannot be read ({reason})", path=folder) from error
    if not (folder / "vocab.txt").is_file():
        raise InputError("vocab.txt is missing, so what the token ids mean is not known", path=folder)
    check_vocabulary(folder, architecture.vocab_size)
    architecture.output_hidden_states = False  # True in the published files, which would keep all layers in memory
    return architecture


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError("the weights are missing", path=path) from None
    except UnpicklingError as error:
        raise InputError(
            "the weights cannot be read: the file is damaged, or holds code, which is not run", path=path,
            hint="Delete the folder it is in and fetch it again",
        ) from error  # fmt: skip
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            "the weights cannot be read: the file is damaged", path=path,
            hint="Delete the folder it is in and fetch it again",
        ) from error  # fmt: skip
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError("this is no table of named tensors", path=path)
    return dict(content)


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    old = re.compile(f"({'|'.join(map(re.escape, _OLD_NAMES))})$")
    return {
        old.sub(lambda found: _OLD_NAMES[found[0]], name): tensor
        for name, tensor in tensors.items()
        if not _WITHOUT_MEANING.fullmatch(name)
    }


def _check_tensors(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    needed = wanted.keys() - _TIED.keys()
    for names, what in ((needed - tensors.keys(), "lacks"), (tensors.keys() - needed, "has, and should not have,")):
        if names:
            raise InputError(f"the checkpoint {what} {len(names)} tensors, {min(names)} among them", path=path)
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)}, the configuration says {tuple(wanted[name].shape)}"
            raise InputError(f"{name} has the shape {shapes}", path=path)
