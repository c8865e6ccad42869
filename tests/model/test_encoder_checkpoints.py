import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, BertConfig

from simcsp import storage
from simcsp.config import EncoderConfig
from simcsp.errors import InputError
from simcsp.model.encoder import (
    load_checkpoint,
    load_encoder,
    random_encoder,
    save_checkpoint,
)
from simcsp.model.states import hidden_state
from simcsp.sequence.alphabet import VOCABULARY, Tokens

Maker = Callable[..., Any]  # gives a PreTrainedModel, whose methods carry no types

TOKENS = 22
REORDERED = (*VOCABULARY[:5], "A", "C", "G", "T", "N")


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A BERT checkpoint of 2 layers."""
    folder = tmp_path / "bert"
    save_checkpoint(load_encoder(EncoderConfig(architecture="bert", hidden=16, layers=2), TOKENS, seed=3), folder)
    return folder


def load(folder: Path, dropout: float = 0.1, tokens: int = TOKENS) -> Any:
    return load_checkpoint(folder, dropout=dropout, tokens=tokens)


def weights(model: nn.Module) -> list[bytes]:
    return [p.detach().numpy().tobytes() for p in model.parameters()]


def edit_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_saved_checkpoint_opens_in_transformers_with_identical_logits(
    make_encoder: Maker, tmp_path: Path, batch: Tensor
) -> None:
    model = make_encoder(seed=3).eval()
    save_checkpoint(model, tmp_path)
    kernel = model.config._attn_implementation  # sums in another order where it is another
    opened = AutoModelForMaskedLM.from_pretrained(tmp_path, attn_implementation=kernel).eval()
    assert torch.equal(opened(input_ids=batch).logits, model(input_ids=batch).logits)


def test_tokenizer_of_a_checkpoint_feeds_its_model(checkpoint: Path, batch: Tensor, windows: Tokens) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    texts = ["".join("NACGT"[t - 5] for t in window) for window in windows]
    encoded = tokenizer(texts, return_tensors="pt")
    assert torch.equal(encoded.input_ids, batch)
    model = AutoModelForMaskedLM.from_pretrained(checkpoint).eval()
    torch.testing.assert_close(model(**encoded).logits, model(input_ids=batch).logits)


def test_checkpoint_holds_exactly_these_files(checkpoint: Path) -> None:
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    assert {path.name for path in checkpoint.iterdir()} == names


@pytest.mark.parametrize("layer", [-1, 0, 1, 2])
def test_reloaded_encoder_has_identical_hidden_states(
    make_encoder: Maker, checkpoint: Path, batch: Tensor, layer: int
) -> None:
    model = make_encoder(seed=3).eval()
    reloaded = load(checkpoint, dropout=0.3).eval()
    assert torch.equal(hidden_state(reloaded, batch, layer), hidden_state(model, batch, layer))
    assert weights(reloaded) == weights(model)


def test_initialisation_from_a_folder_takes_its_architecture(make_encoder: Maker, checkpoint: Path) -> None:
    loaded = make_encoder(init=str(checkpoint), hidden=64, layers=5, dropout=0.4)
    assert weights(loaded) == weights(make_encoder(seed=3))
    assert 0.4 in {m.p for m in loaded.modules() if isinstance(m, nn.Dropout)}


def test_dropout_is_on_hidden_states_and_never_on_attention(checkpoint: Path, architecture: str) -> None:
    of_weights = "attention_probs_dropout_prob" if architecture == "bert" else "attention_dropout"
    edit_config(checkpoint, **{of_weights: 0.5})
    model = load(checkpoint, dropout=0.25, tokens=TOKENS)
    shares = {name: module.p for name, module in model.base_model.named_modules() if isinstance(module, nn.Dropout)}
    # BERT keeps a module for the attention weights, ModernBERT one for the attention's output
    of_attention = {name for name in shares if name.endswith(("attention.self.dropout", "out_drop"))}
    assert {shares[name] for name in of_attention} <= {0.0}
    assert {p for name, p in shares.items() if name not in of_attention} == {0.25}
    assert getattr(model.config, of_weights) == 0.0


def test_configuration_of_a_saved_bert_is_that_of_splicebert(bert: Path) -> None:
    stored, plain = json.loads((bert / "config.json").read_text()), BertConfig().to_dict()
    published = {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "initializer_range": 0.02, "type_vocab_size": 2}
    assert {name: stored[name] for name in published} == published
    assert (stored["vocab_size"], stored["pad_token_id"]) == (10, 0)
    assert set(stored) <= {*plain, "dtype", "model_type", "transformers_version", "architectures"}


def test_random_encoder_has_the_architecture_but_not_the_weights(make_encoder: Maker, checkpoint: Path) -> None:
    trained = make_encoder(seed=3)
    first, again, other = (random_encoder(checkpoint, dropout=0.1, seed=seed) for seed in (8, 8, 9))
    assert [p.shape for p in first.parameters()] == [p.shape for p in trained.parameters()]
    assert weights(first) == weights(again)
    assert weights(first) != weights(other)
    assert weights(first)[0] != weights(trained)[0]
    assert weights(random_encoder(checkpoint, dropout=0.1, seed=3)) == weights(trained)


def test_half_precision_checkpoint_is_loaded_in_single_precision(make_encoder: Maker, tmp_path: Path) -> None:
    save_checkpoint(make_encoder(seed=3).to(torch.bfloat16), tmp_path)
    assert load(tmp_path).dtype == torch.float32
    assert random_encoder(tmp_path, dropout=0.1, seed=0).dtype == torch.float32


def as_published(folder: Path) -> None:
    """Turn a BERT checkpoint into one like SpliceBERT's: pickled, old names of norms, WordPiece, other settings."""
    tensors = load_file(folder / "model.safetensors")
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["bert.embeddings.position_ids"] = torch.arange(TOKENS)[None]
    old = {name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta") for name in tensors}
    assert old != set(tensors)
    renamed = {n.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): t for n, t in tensors.items()}
    torch.save(renamed, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    edit_config(
        folder, output_hidden_states=True, position_embedding_type="absolute", torch_dtype="float32",
        transformers_version="4.20.1", attention_probs_dropout_prob=0.1,
    )  # fmt: skip
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "tokenizer_class": "BertTokenizer"}')
    (folder / "tokenizer.json").write_text(
        json.dumps({"model": {"type": "WordPiece", "vocab": {token: i for i, token in enumerate(VOCABULARY)}}})
    )


def test_checkpoint_in_the_published_form_loads_unchanged(bert: Path, batch: Tensor, tmp_path: Path) -> None:
    original = load(bert).eval()
    as_published(bert)
    published = load(bert).eval()
    assert torch.equal(hidden_state(published, batch, 1), hidden_state(original, batch, 1))
    assert torch.equal(published(input_ids=batch).logits, original(input_ids=batch).logits)
    save_checkpoint(published, tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text()).get("output_hidden_states", False) is False


def test_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match=rf"{folder}: no checkpoint here \(config.json is missing\)"):
            load(folder)
        with pytest.raises(InputError, match=r"config\.json is missing"):
            random_encoder(folder, dropout=0.1, seed=0)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "{}", '{"model_type": "splicebert"}', '{"auto_map": {"AutoConfig": "x.Y"}}']
)
def test_unreadable_configuration_is_refused_in_one_line(bert: Path, text: str) -> None:
    (bert / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config.json cannot be read \(.+\)\.$") as caught:
        load(bert)
    assert "\n" not in str(caught.value)


def test_configuration_with_a_value_of_a_wrong_type_is_refused(bert: Path) -> None:
    edit_config(bert, hidden_size="wide")
    with pytest.raises(InputError, match=r"config\.json cannot be read .*'hidden_size'"):
        load(bert)


def test_another_architecture_is_refused(bert: Path) -> None:
    edit_config(bert, model_type="roberta")
    with pytest.raises(InputError, match=r"a model of type 'roberta'\. Give a checkpoint of type bert or modernbert\."):
        load(bert)


def test_another_size_of_vocabulary_is_refused(checkpoint: Path) -> None:
    edit_config(checkpoint, vocab_size=26)
    with pytest.raises(InputError, match="a vocabulary of 26 tokens; 10 are needed"):
        load(checkpoint)


def test_same_tokens_in_another_order_are_refused(checkpoint: Path) -> None:
    (checkpoint / "vocab.txt").write_text("\n".join(REORDERED))
    with pytest.raises(InputError, match=r"vocab\.txt: the tokens are not SpliceBERT's, or in another order"):
        load(checkpoint)
    (checkpoint / "vocab.txt").unlink()
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {token: i for i, token in enumerate(REORDERED)}
    (checkpoint / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InputError, match=r"tokenizer\.json: the tokens are not SpliceBERT's, or in another order"):
        random_encoder(checkpoint, dropout=0.1, seed=0)


def test_window_longer_than_the_positions_is_refused_with_the_way_out(checkpoint: Path) -> None:
    with pytest.raises(InputError, match=r"takes 22 tokens, .* at least 2 nt shorter."):
        load(checkpoint, tokens=24)
    load(checkpoint)


@pytest.mark.parametrize("kept", [0, 4, 300, -1])
def test_truncated_weights_are_refused(checkpoint: Path, kept: int) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=rf"{checkpoint}: the weights cannot be read \(.+\)\.$"):
        load(checkpoint)


@pytest.mark.parametrize("kept", [0, 4, 300, -1])
def test_truncated_weights_in_the_old_format_are_refused(bert: Path, kept: int) -> None:
    as_published(bert)
    path = bert / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"the weights cannot be read \(.+\)\.$"):
        load(bert)


def test_code_in_pickled_weights_is_not_run(bert: Path, tmp_path: Path) -> None:
    as_published(bert)
    torch.save({"weights": Trap(tmp_path / "sprung")}, bert / "pytorch_model.bin")
    with pytest.raises(InputError, match="the weights cannot be read"):
        load(bert)
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_folder_without_weights_is_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"the weights cannot be read .*no file named model\.safetensors"):
        load(checkpoint)


def test_weights_of_another_shape_are_refused(checkpoint: Path) -> None:
    edit_config(checkpoint, intermediate_size=48)
    with pytest.raises(InputError, match="the weights cannot be read"):
        load(checkpoint)


def test_checkpoint_that_lacks_a_tensor_is_refused_not_filled_at_random(checkpoint: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    lost = next(name for name in sorted(tensors) if "layers.1." in name or "layer.1." in name)
    del tensors[lost]
    save_file(tensors, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=f"lacks 1 of the model's tensors, {lost} among them"):
        load(checkpoint)


def test_encoder_without_a_prediction_head_is_refused(bert: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(bert, add_pooling_layer=False).save_pretrained(tmp_path / "headless")
    with pytest.raises(InputError, match=r"lacks \d of the model's tensors, cls.predictions.+prediction head"):
        load(tmp_path / "headless")


def test_broken_checkpoint_is_read_again_once_it_is_whole(checkpoint: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(checkpoint, whole)
    (checkpoint / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError):
        load(checkpoint)
    shutil.copy(whole / "model.safetensors", checkpoint)
    load(checkpoint)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.txt"])
def test_checkpoint_that_is_not_as_it_was_written_is_refused_by_its_checksums(bert: Path, name: str) -> None:
    storage.write_checksums(bert)
    load(bert)
    content = bytearray((bert / name).read_bytes())
    content[-1] ^= 1  # the last byte of a weight: it would load
    (bert / name).write_bytes(content)
    with pytest.raises(InputError, match=f"bert: missing or not as it was written: {name}") as caught:
        load(bert)
    assert "\n" not in str(caught.value)
