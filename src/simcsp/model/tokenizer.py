"""The Hugging Face tokenizer that is stored beside every checkpoint, for others to use.

Nothing here is tokenized with it: :mod:`simcsp.sequence.alphabet` encodes. It gives the same ids, and unlike the
published one it reads un-spaced and lower-case DNA too.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from simcsp.errors import InputError
from simcsp.sequence.alphabet import CLS, SEP, VOCABULARY

_IDS = {token: number for number, token in enumerate(VOCABULARY)}
_SPECIAL = {name: f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def export_tokenizer(folder: Path, longest: int) -> None:
    """Write ``tokenizer.json``, ``tokenizer_config.json`` and ``vocab.txt`` for ``AutoTokenizer``.

    Args:
        folder: of the checkpoint.
        longest: longest input of the model in tokens.
    """
    letters = Tokenizer(models.WordLevel(_IDS, unk_token=_SPECIAL["unk"]))
    letters.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(f"[{variants}]"), letter)
            for letter, variants in (("A", "a"), ("C", "c"), ("G", "g"), ("T", "tUu"), ("N", "nRYSWKMBDHVryswkmbdhv"))
        ]
    )
    letters.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
    )
    letters.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    letters.add_special_tokens(list(_SPECIAL.values()))
    letters.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # what transformers 5 would write, version 4 cannot read
        "model_max_length": longest,
        "model_input_names": ["input_ids", "attention_mask"],  # ModernBERT refuses token types
        **{f"{name}_token": token for name, token in _SPECIAL.items()},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")


def check_vocabulary(folder: Path, size: int) -> None:
    """Refuse a checkpoint whose token ids are not SpliceBERT's.

    Raises:
        InputError: names the file and the difference.
    """
    if size != len(VOCABULARY):
        raise InputError(
            f"a vocabulary of {size} tokens; {len(VOCABULARY)} are needed: {' '.join(VOCABULARY)}",
            path=folder / "config.json", hint="Give a checkpoint with SpliceBERT's vocabulary",
        )  # fmt: skip
    for name, read in (("vocab.txt", _from_text), ("tokenizer.json", _from_json)):
        if (folder / name).exists() and read(folder / name) != _IDS:
            raise InputError(
                "the tokens are not SpliceBERT's, or in another order", path=folder / name,
                hint=f"Needed: {' '.join(VOCABULARY)}",
            )  # fmt: skip


def _from_text(path: Path) -> dict[str, int]:
    return {token: number for number, token in enumerate(path.read_bytes().decode(errors="replace").split())}


def _from_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())["model"]["vocab"]
    except (ValueError, KeyError, TypeError):
        return None
