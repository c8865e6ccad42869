"""The model card (README.md) of an exported model, in the form of the Hugging Face hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from simcsp.config import PhaseConfig, PretrainConfig
from simcsp.report.markdown import markdown_table

Kind = Literal["sequence", "token", "embedder"]

_LIBRARY = {"sequence": "transformers", "token": "transformers", "embedder": "sentence-transformers"}
_PIPELINE = {"sequence": "text-classification", "token": "token-classification", "embedder": "feature-extraction"}
_LOGIT = {
    "cls": "logit = logits[:, 0]",
    "mean": "logit = logits[:, 1:-1, 0].mean(dim=1)  # over the nucleotides",
    "site": "middle = logits.shape[1] // 2  # the site's two bases\n"
    "logit = logits[:, middle - 1, 0] + logits[:, middle, 1]",
}
_AUTO = {"sequence": "AutoModelForSequenceClassification", "token": "AutoModelForTokenClassification"}


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model card says.

    Attributes:
        name: of the model.
        kind: classifier of sequences or of tokens, or embedder.
        pooling: `cls`, `mean` or `site`.
        window: length in nt of the windows it was trained on.
        licence: of the model, an identifier of the hub.
        facts: heading → text, what is known of data and training, in order.
        metrics: rows of (metric, site type, value, on what).
        difference: largest difference of a logit or an embedding from the model that was exported.
        onnx: the folder holds ``model.onnx``, too.
        initial: sentence on the published checkpoint that training started from, if it did.
    """

    name: str
    kind: Kind
    pooling: str
    window: int
    licence: str
    facts: Mapping[str, str]
    metrics: Sequence[tuple[str, str, float, str]]
    difference: float
    onnx: bool = False
    initial: str = ""


def model_card(card: Card) -> str:
    """The text of README.md: YAML that the hub reads, then what a reader needs."""
    parts = [_front_matter(card), f"# {card.name}", _what(card), _use(card), _limits(card), _table(card)]
    parts += [f"## Data and training\n\n{_bullets(card.facts)}"]
    if card.initial:
        parts.append(f"## Sources\n\n{card.initial}")
    return "\n\n".join(parts) + "\n"


def pretraining_of(model: str, pretrain: PretrainConfig) -> str:
    """How one encoder of a run was pre-trained: phases, step, and whether it saw labels or orthologues.

    Args:
        model: `random`, or an encoder that pre-training leaves or keeps along the way.
        pretrain: settings of the run.
    """
    if model == "random":
        return "none"
    recipes = {recipe.name: recipe for recipe in pretrain.also}
    phase, _, step = model.partition("-")
    if phase == "baseline":
        return _phase(pretrain.baseline) + (f", as it was after {step}" if step else "")
    later: PhaseConfig = recipes.get(model, pretrain.contrast)
    keep = recipes[model].keep if model in recipes else model.removeprefix("best_")
    which = f", as it was after {step}" if step else f", the best {keep.upper()}" if keep in ("sccs", "nmi") else ""
    return f"{_phase(pretrain.baseline)}, then {_phase(later)}{which}"


def _phase(phase: PhaseConfig) -> str:
    if not phase.steps:
        return "0 steps"
    weights = [
        f"{start:g}{f' to {end:g}' if end is not None else ''} {loss}"
        for start, end, loss in (
            (phase.mlm_weight, phase.mlm_weight_end, "MLM"),
            (phase.contrastive_weight, phase.contrastive_weight_end, "SimCSP"),
        )
        if start or end
    ]
    seen = {"label": " (which saw labels of windows)", "orthologue": " (which saw orthologous sites)"}
    return f"{phase.steps:,} steps with weights {' and '.join(weights)}{seen.get(phase.positives, '')}"


def _front_matter(card: Card) -> str:
    tags = ["biology", "dna", "rna-splicing", "splice-site"]
    lines = [
        "---",
        f"license: {card.licence}",
        f"library_name: {_LIBRARY[card.kind]}",
        f"pipeline_tag: {_PIPELINE[card.kind]}",
        "tags:",
        *(f"- {tag}" for tag in tags),
        "---",
    ]
    return "\n".join(lines)


def _what(card: Card) -> str:
    if card.kind == "embedder":
        how = "its first token" if card.pooling == "cls" else "the mean over its nucleotides"
        return f"Embeds windows of {card.window} nt of pre-mRNA: each is {how}, as the encoder sees it."
    return (
        f"Says of a window of {card.window} nt whether the dinucleotide at its centre is a splice site: a donor, if it "
        "is GT, or an acceptor, if it is AG. Other windows were not trained on."
    )


def _use(card: Card) -> str:
    shown = f'dna = "…"  # {card.window} letters A, C, G, T or N, on the strand of transcription'
    if card.kind == "embedder":
        code = (
            f"from sentence_transformers import SentenceTransformer\n\n{shown}\n"
            'embeddings = SentenceTransformer("PATH").encode([dna])'
        )
    else:
        auto = _AUTO[card.kind]
        code = (
            f"import torch\nfrom transformers import {auto}, AutoTokenizer\n\n{shown}\n"
            f'model, tokenizer = {auto}.from_pretrained("PATH"), AutoTokenizer.from_pretrained("PATH")\n'
            'logits = model(**tokenizer([dna], return_tensors="pt")).logits\n'
            f"{_LOGIT[card.pooling]}\nprobability = torch.sigmoid(logit)"
        )
    text = f"## Use\n\n```python\n{code}\n```"
    if card.onnx:
        text += (
            "\n\n`model.onnx` gives the same `logits` of `input_ids` and `attention_mask` (int64, windows × tokens) "
            "under onnxruntime."
        )
    return text


def _limits(card: Card) -> str:
    lines = [
        "Research on splicing. Not for diagnosis, and no substitute for evidence from RNA.",
        f"Windows of another length than {card.window} nt, and padded batches, are outside of what it was trained on.",
        "Numbers are those of the model it was exported from: "
        f"the largest difference measured is {card.difference:.1e}.",
    ]
    if card.kind != "embedder":
        lines += [
            "Probabilities are as trained and not calibrated, on sites and decoys in the proportion of the windows "
            "below; in a genome sites are rarer.",
            "Load it in float32. Its last layers carry the numbers of a linear classifier through the nonlinear ones "
            "that transformers has, by very small or large weights: to train on, start from the encoder.",
        ]
    return "## Intended use and limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _table(card: Card) -> str:
    rows = [[metric, site, f"{value:.3f}", on] for metric, site, value, on in card.metrics]
    return "## Metrics\n\n" + markdown_table(["metric", "sites", "value", "measured on"], rows)


def _bullets(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- **{name}**: {text}" for name, text in facts.items())
