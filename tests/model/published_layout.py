"""A SpliceBERT folder as Zenodo's archive holds it: the files, names and settings of transformers 4.18 to 4.24."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from simcsp.sequence.alphabet import VOCABULARY

# config.json of SpliceBERT.510nt, git history 193f99c of github.com/chenkenbio/SpliceBERT
CONFIG: dict[str, Any] = {
    "_name_or_path": "mlm_on_tx.510nt",
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "classifier_dropout": None,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 512,
    "initializer_range": 0.02,
    "intermediate_size": 2048,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 16,
    "num_hidden_layers": 6,
    "output_hidden_states": True,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "torch_dtype": "float32",
    "transformers_version": "4.20.1",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 10,
}


def plain_model(seed: int = 0, **settings: Any) -> Any:
    """The architecture with random weights; all of them random, also those that begin as 0 or 1."""
    torch.manual_seed(seed)
    known = {name: value for name, value in CONFIG.items() if name not in ("torch_dtype", "transformers_version")}
    model: Any = BertForMaskedLM(BertConfig(**{**known, **settings}))
    model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def old_tensors(model: Any) -> dict[str, Tensor]:
    """The state of a model under its old names, with the buffer and the tied tensors that were stored beside it."""
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].clone()
    tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"].clone()
    tensors["bert.embeddings.position_ids"] = torch.arange(model.config.max_position_embeddings)[None]
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }


def write_old_folder(folder: Path, model: Any) -> Path:
    """Write the folder; like some of the published ones it has no ``tokenizer_config.json``."""
    folder.mkdir(parents=True)
    settings = {name: getattr(model.config, name, value) for name, value in CONFIG.items()} | {"torch_dtype": "float32"}
    settings |= {"architectures": ["BertForMaskedLM"], "transformers_version": "4.20.1", "output_hidden_states": True}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "mask", "pad", "sep", "unk")}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    words = {token: number for number, token in enumerate(VOCABULARY)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "WordPiece", "vocab": words}}))
    torch.save(old_tensors(model), folder / "pytorch_model.bin")
    return folder
