import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.model.published_layout import CONFIG, old_tensors, plain_model, write_old_folder
from torch import Tensor
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, BertModel

from simcsp.errors import InputError
from simcsp.model.convert import convert_checkpoint
from simcsp.model.encoder import load_checkpoint
from simcsp.model.splicebert import PUBLISHED
from simcsp.model.states import hidden_state
from simcsp.sequence.alphabet import CLS, SEP, VOCABULARY, A

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_old_folder(tmp_path / "SpliceBERT.510nt", plain_model(**SMALL, max_position_embeddings=24))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "converted"
    folder.mkdir()
    return folder


def some_windows(length: int, count: int = 2) -> Tensor:
    torch.manual_seed(5)
    inner = torch.randint(A, A + 4, (count, length))
    return torch.cat([torch.full((count, 1), CLS), inner, torch.full((count, 1), SEP)], dim=1)


def edit(folder: Path, **settings: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def test_hidden_states_of_the_full_model_are_those_of_a_plain_bert_at_all_seven_levels(
    tmp_path: Path, target: Path
) -> None:
    model = plain_model()
    source = write_old_folder(tmp_path / "SpliceBERT.510nt", model)
    assert convert_checkpoint(source, target) == 19_447_306
    plain: Any = BertModel(model.config, add_pooling_layer=False)
    plain.eval().load_state_dict(model.bert.state_dict())
    tokens = some_windows(510)
    with torch.inference_mode():
        wanted = plain(input_ids=tokens, output_hidden_states=True).hidden_states
        converted: Any = load_checkpoint(target, dropout=0.1, tokens=512)
        converted.eval()
        assert len(wanted) == 7
        for level, hidden in enumerate(wanted):
            torch.testing.assert_close(hidden_state(converted, tokens, level), hidden, atol=1e-5, rtol=0)
        logits = model(input_ids=tokens).logits
        torch.testing.assert_close(converted(input_ids=tokens).logits, logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "positions"), [("510nt", 512), ("1024nt", 1026)])
def test_published_architectures_have_the_published_number_of_parameters(name: str, positions: int) -> None:
    settings = {**CONFIG, "max_position_embeddings": positions}
    with torch.device("meta"):
        model = BertForMaskedLM(BertConfig.from_dict(settings))
    assert model.num_parameters() == {"510nt": 19_447_306, "1024nt": 19_710_474}[name]
    assert PUBLISHED[f"splicebert.{name}"].parameters == model.num_parameters()
    assert PUBLISHED[f"splicebert.{name}"].longest == positions - 2


def test_what_is_converted_is_a_folder_of_today(old: Path, target: Path) -> None:
    convert_checkpoint(old, target)
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    assert {path.name for path in target.iterdir()} == names
    stored = set(load_file(target / "model.safetensors"))
    assert not any("gamma" in name or "beta" in name or "position_ids" in name for name in stored)
    report: Any = BertForMaskedLM.from_pretrained(target, output_loading_info=True)
    assert not report[1]["missing_keys"]
    assert not report[1]["unexpected_keys"]
    assert AutoTokenizer.from_pretrained(target)("acgu").input_ids == [2, 6, 7, 8, 9, 3]
    assert json.loads((target / "config.json").read_text()).get("output_hidden_states", False) is False


def test_no_random_number_is_drawn(old: Path, target: Path) -> None:
    before = torch.get_rng_state()
    convert_checkpoint(old, target)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("order", [(*VOCABULARY[:5], "A", "C", "G", "T", "N"), VOCABULARY[:9]])
def test_another_vocabulary_is_refused(old: Path, target: Path, order: tuple[str, ...]) -> None:
    (old / "vocab.txt").write_text("\n".join(order))
    with pytest.raises(InputError, match=r"vocab\.txt: the tokens are not SpliceBERT's, or in another order"):
        convert_checkpoint(old, target)
    (old / "vocab.txt").unlink()
    with pytest.raises(InputError, match=r"vocab\.txt is missing, so what the token ids mean is not known"):
        convert_checkpoint(old, target)
    (old / "vocab.txt").write_text("\n".join(VOCABULARY))
    edit(old, vocab_size=28)
    with pytest.raises(InputError, match="a vocabulary of 28 tokens; 10 are needed"):
        convert_checkpoint(old, target)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated_weights_are_refused(old: Path, target: Path, share: float) -> None:
    path = old / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"the weights cannot be read: the file is damaged.+fetch it again\.$"):
        convert_checkpoint(old, target)
    path.unlink()
    with pytest.raises(InputError, match="the weights are missing"):
        convert_checkpoint(old, target)


def test_pickled_code_is_refused_and_not_run(old: Path, target: Path, tmp_path: Path) -> None:
    torch.save({"weights": Trap(tmp_path / "sprung")}, old / "pytorch_model.bin")
    with pytest.raises(InputError, match="holds code, which is not run"):
        convert_checkpoint(old, target)
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("bert.encoder.layer.1.output.dense.bias"), "lacks 1 tensors, bert.encoder.layer.1.output"),
        (lambda t: t.update({"bert.adapter.weight": torch.ones(2)}), "should not have, 1 tensors, bert.adapter.weight"),
        (lambda t: t.update({"cls.predictions.bias": torch.ones(9)}), r"cls.predictions.bias has the shape \(9,\)"),
        (lambda t: t["cls.predictions.decoder.weight"].add_(1), "decoder.weight is not .+, to which it should be tied"),
        (lambda t: t.update({"epoch": 3}), "this is no table of named tensors"),
    ],
)  # fmt: skip
def test_other_tensors_than_those_of_the_model_are_refused(old: Path, target: Path, change: Any, message: str) -> None:
    tensors = old_tensors(plain_model(**SMALL, max_position_embeddings=24))
    tensors.pop("cls.predictions.decoder.bias")
    change(tensors)
    torch.save(tensors, old / "pytorch_model.bin")
    with pytest.raises(InputError, match=message):
        convert_checkpoint(old, target)


def test_a_pooler_that_is_stored_beside_it_is_left_out(old: Path, target: Path) -> None:
    tensors = old_tensors(plain_model(**SMALL, max_position_embeddings=24))
    tensors |= {"bert.pooler.dense.weight": torch.ones(16, 16), "bert.pooler.dense.bias": torch.ones(16)}
    torch.save(tensors, old / "pytorch_model.bin")
    convert_checkpoint(old, target)
    assert not any("pooler" in name for name in load_file(target / "model.safetensors"))


@pytest.mark.parametrize(
    "change", [{"architectures": ["BertModel"]}, {"architectures": None}, {"model_type": "splicebert"}]
)
def test_other_models_are_refused(old: Path, target: Path, change: dict[str, Any]) -> None:
    edit(old, **change)
    with pytest.raises(InputError, match="the configuration of another model than BertForMaskedLM"):
        convert_checkpoint(old, target)


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_damaged_configuration_is_refused_in_one_line(old: Path, target: Path, text: str) -> None:
    (old / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config.json cannot be read") as caught:
        convert_checkpoint(old, target)
    assert "\n" not in str(caught.value)
    (old / "config.json").unlink()
    with pytest.raises(InputError, match=r"config.json is missing"):
        convert_checkpoint(old, target)
