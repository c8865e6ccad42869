"""Models of this project as folders that Hugging Face and sentence-transformers open without its code.

Nothing is trained anew or approximated. The classifiers of transformers have a nonlinear layer before their last, where
the one here has none; weights exist under which that layer passes numbers on unchanged, to the precision of float32,
and those are written. A model whose pooling or layer has no counterpart is refused.

Shapes: ``B`` windows, ``T`` tokens, ``D`` width of the encoder, ``P`` width of the pooled embedding.
"""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from simcsp.config import Pooling
from simcsp.errors import InputError
from simcsp.model.encoder import SiteClassifier
from simcsp.model.states import encode, pool
from simcsp.model.tokenizer import export_tokenizer
from simcsp.sequence.alphabet import VOCABULARY, N

Task = Literal["sequence", "token"]

_SMALL = 2.0**-16  # tanh(x) = x in float32 up to |x| = 2^-12; a power of two scales without rounding
_LARGE = 2.0**14  # decides the deviation that the norm divides by; what passes through it is a thousand times smaller
_ST = "sentence_transformers.models"  # understood by versions 2 to 6


def task_of(pooling: Pooling) -> Task:
    """Which of transformers' classifiers can say what a classifier with this pooling says.

    Those of sequences look at ``[CLS]``. Those of tokens look everywhere, and the logit of a window is a sum or a mean
    of theirs (:func:`window_logits`).
    """
    return "sequence" if pooling == "cls" else "token"


def export_classifier(classifier: SiteClassifier, folder: Path) -> None:
    """Write a classifier for ``AutoModelForSequenceClassification`` or ``AutoModelForTokenClassification``.

    Its logit is that of "splice site"; a sigmoid makes it a probability, which text-classification pipelines do.

    Args:
        classifier: of which the encoder is cut off above the layer it pools.
        folder: empty; gets ``config.json``, ``model.safetensors`` and the tokenizer.

    Raises:
        InputError: if it pools a layer of ModernBERT below the last.
    """
    encoder, task = classifier.encoder, task_of(classifier.pooling)
    config = _cut_config(encoder, classifier.layer)
    weight, bias = classifier.output.weight.detach(), classifier.output.bias.detach()
    rows = weight.view(-1, config.hidden_size)  # one for each pooled token
    config.num_labels = len(rows)
    config.id2label = dict(enumerate(["splice site"] if len(rows) == 1 else ["first base", "second base"]))
    config.label2id = {label: number for number, label in config.id2label.items()}
    config.problem_type = "multi_label_classification"
    if config.model_type == "modernbert":
        config.classifier_bias, config.classifier_activation, config.classifier_pooling = True, "linear", "cls"
    made = AutoModelForSequenceClassification if task == "sequence" else AutoModelForTokenClassification
    model = _filled(made, config, encoder)
    _set_head(model, rows.cpu(), bias.cpu(), task)
    model.save_pretrained(folder)
    export_tokenizer(folder, config.max_position_embeddings)


def window_logits(logits: Tensor, pooling: Pooling) -> Tensor:
    """Logits of windows, ``(B,)``, from what an exported classifier gives: ``(B, 1)`` or, of tokens, ``(B, T, …)``."""
    if pooling == "cls":
        return logits[:, 0]
    if pooling == "mean":
        return logits[:, 1:-1, 0].mean(dim=1)
    middle = logits.shape[1] // 2
    return logits[:, middle - 1, 0] + logits[:, middle, 1]


def exported_classifier(folder: Path, pooling: Pooling, **options: str) -> Any:
    """The classifier in an exported folder as transformers opens it; ``options`` go to ``from_pretrained``."""
    made = AutoModelForSequenceClassification if task_of(pooling) == "sequence" else AutoModelForTokenClassification
    return made.from_pretrained(folder, local_files_only=True, **options).eval()


@torch.inference_mode()
def classifier_difference(classifier: SiteClassifier, folder: Path, tokens: Tensor) -> float:
    """Largest difference between logits of a classifier and of what was exported from it, on ``(B, T)`` windows."""
    model = exported_classifier(folder, classifier.pooling)
    found = window_logits(model(input_ids=tokens).logits, classifier.pooling)
    return float((found - classifier.eval()(tokens)[0]).abs().max())


@torch.inference_mode()
def embedder_difference(
    encoder: PreTrainedModel, folder: Path, tokens: Tensor, *, pooling: Pooling, layer: int
) -> float:
    """Largest difference between embeddings by an encoder and by what was exported from it, on ``(B, T)`` windows."""
    model: Any = AutoModel.from_pretrained(folder, local_files_only=True)
    hidden = model.eval()(input_ids=tokens).last_hidden_state
    source: Any = encoder
    wanted = encode(source.eval(), tokens, pooling=pooling, layer=layer).pooled
    return float((pool(hidden, pooling) - wanted).abs().max())


def export_embedder(encoder: PreTrainedModel, folder: Path, *, pooling: Pooling, layer: int) -> None:
    """Write an encoder and its pooling for ``SentenceTransformer``.

    Args:
        encoder: which is cut off above ``layer``.
        folder: empty.
        pooling: `cls`, or `mean` of the nucleotides, for which ``[CLS]`` and ``[SEP]`` get the weight 0.
        layer: that is pooled.

    Raises:
        InputError: if the pooling is `site`, for which sentence-transformers has no module, or a layer of ModernBERT
            below the last is pooled.
    """
    if pooling == "site":
        raise InputError(
            "sentence-transformers cannot pool the two nucleotides of a site",
            hint="Export the classifier, or measure and export with encoder.pooling cls or mean",
        )
    config = _cut_config(encoder, layer)
    model = _filled(AutoModel, config, encoder)
    if getattr(model, "pooler", None) is not None:  # not used; without values a warning would greet whoever opens it
        for parameter in model.pooler.parameters():
            parameter.data.zero_()
    model.save_pretrained(folder)
    export_tokenizer(folder, config.max_position_embeddings)
    _write_modules(folder, config.hidden_size, config.max_position_embeddings, pooling)


def _cut_config(encoder: PreTrainedModel, layer: int) -> Any:
    """A copy of the configuration with as many layers as are below hidden state ``layer``."""
    config = type(encoder.config).from_dict(encoder.config.to_dict())
    depth = config.num_hidden_layers
    layer %= depth + 1
    if layer < depth and config.model_type == "modernbert":
        raise InputError(
            f"layer {layer} of {depth} is pooled, and transformers' ModernBERT puts a norm behind its last layer",
            hint="Export a model with encoder.layer -1",
        )
    config.num_hidden_layers = layer
    config.architectures = None
    return config


def _filled(made: Any, config: Any, encoder: PreTrainedModel) -> Any:
    """A model of the class ``made`` with the weights of an encoder, as far as it has layers for them."""
    with torch.random.fork_rng(devices=[]):  # what is drawn is overwritten
        model = made.from_config(config, dtype=torch.float32)
    base = model.base_model
    kept = base.state_dict().keys()
    found = {name: value for name, value in encoder.base_model.state_dict().items() if name in kept}
    missing = base.load_state_dict(found, strict=False).missing_keys
    if lost := [name for name in missing if not name.startswith("pooler.")]:
        raise ValueError(f"the encoder lacks {lost[0]}")
    return model


@torch.no_grad()
def _set_head(model: Any, rows: Tensor, bias: Tensor, task: Task) -> None:
    """Make the head of a classifier say ``rows @ hidden + bias``."""
    output = model.classifier
    output.bias.zero_()
    output.bias[-1] = bias[0]
    if model.config.model_type == "modernbert":
        output.weight.zero_()
        _pass_through_norm(model.head, output, rows)
    elif task == "sequence":
        pooler = model.bert.pooler.dense
        pooler.weight.copy_(torch.eye(len(pooler.weight)) * _SMALL)
        pooler.bias.zero_()
        output.weight.copy_(rows / _SMALL)
    else:
        output.weight.copy_(rows)


def _pass_through_norm(head: Any, output: Any, rows: Tensor) -> None:
    """Make ``output`` of the norm of ``head`` give ``rows @ hidden``.

    The dense layer before the norm gives each row's product and its negative, so that the mean is 0, and the constants
    ±K, beside which the deviation is K √(2 / D) whatever the products.
    """
    width, count = rows.shape[1], len(rows)
    head.dense.weight.zero_()
    head.dense.bias.zero_()
    head.dense.weight[:count], head.dense.weight[count : 2 * count] = rows, -rows
    head.dense.bias[2 * count], head.dense.bias[2 * count + 1] = _LARGE, -_LARGE
    for row in range(count):
        output.weight[row, row] = _LARGE * (2 / width) ** 0.5


def _write_modules(folder: Path, width: int, longest: int, pooling: Pooling) -> None:
    """Write what makes a Hugging Face folder one of sentence-transformers."""
    names = ["Transformer", *(["WordWeights"] if pooling == "mean" else []), "Pooling"]
    paths = ["", *(f"{number}_{name}" for number, name in enumerate(names) if number)]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_ST}.{name}"}
        for number, (name, path) in enumerate(zip(names, paths, strict=True))
    ]
    _write(folder / "modules.json", modules)
    _write(folder / "config_sentence_transformers.json", {"similarity_fn_name": "cosine"})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": longest, "do_lower_case": False})
    for path in paths[1:]:
        (folder / path).mkdir()
    modes = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean"}
    _write(folder / paths[-1] / "config.json", {"word_embedding_dimension": width, **modes})
    if pooling == "mean":
        of_token = {token: float(number >= N) for number, token in enumerate(VOCABULARY)}
        settings = {"vocab": list(VOCABULARY), "word_weights": of_token, "unknown_word_weight": 0.0}
        _write(folder / paths[1] / "config.json", settings)
        weights = {"emb_layer.weight": torch.tensor([[weight] for weight in of_token.values()])}
        save_file(weights, folder / paths[1] / "model.safetensors")


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
