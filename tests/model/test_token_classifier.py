from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForTokenClassification

from simcsp.config import EncoderConfig
from simcsp.model.encoder import load_encoder, save_checkpoint
from simcsp.model.token_classifier import TokenClassifier, TokenObjective

REGION = slice(8, 14)  # nucleotides of a window of 22
UNKNOWN = -100


def classifier_of(architecture: Any) -> TokenClassifier:
    small = EncoderConfig(architecture=architecture, hidden=16, layers=2, heads=2, intermediate=32, local_attention=8)
    return TokenClassifier(load_encoder(small, 24, seed=1), region=REGION, dropout=0.1, seed=2)


def windows(count: int) -> torch.Tensor:
    nucleotides = torch.randint(6, 10, (count, 22), generator=torch.Generator().manual_seed(3))
    ends = torch.ones(count, 1, dtype=torch.long)
    return torch.cat([2 * ends, nucleotides, 3 * ends], dim=1)


def test_logits_are_those_of_transformers_token_classifier(tmp_path: Path) -> None:
    classifier = classifier_of("bert").eval()
    save_checkpoint(classifier.encoder, tmp_path)
    peer = AutoModelForTokenClassification.from_pretrained(tmp_path, num_labels=1).eval()
    peer.classifier.load_state_dict(classifier.output.state_dict())
    tokens = windows(5)
    with torch.inference_mode():
        expected = peer(input_ids=tokens).logits[:, 1:-1][:, REGION, 0]  # without [CLS] and [SEP]
        torch.testing.assert_close(classifier(tokens), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_the_loss_is_the_published_cross_entropy_of_two_labels(architecture: str) -> None:
    objective = TokenObjective(classifier_of(architecture)).eval()
    label = torch.tensor([[1, 0, UNKNOWN, 0, 0, 1], [UNKNOWN] * 5 + [0]], dtype=torch.int8)
    tokens = windows(2)
    logits = objective.classifier(tokens)
    both = torch.stack([torch.zeros_like(logits), logits], dim=-1)  # their difference is the one logit
    expected = functional.cross_entropy(both.view(-1, 2), label.long().flatten(), ignore_index=UNKNOWN)
    torch.testing.assert_close(objective(tokens, label)["loss"], expected)


def test_nothing_asked_is_no_loss() -> None:
    objective = TokenObjective(classifier_of("bert"))
    loss = objective(windows(2), torch.full((2, 6), UNKNOWN, dtype=torch.int8))["loss"]
    loss.backward()
    assert loss.item() == 0.0


def test_what_is_saved_is_restored(tmp_path: Path) -> None:
    objective, other = TokenObjective(classifier_of("modernbert")).eval(), TokenObjective(classifier_of("modernbert"))
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.add_(0.1)
    objective.save(tmp_path)
    other.restore(tmp_path)
    tokens = windows(3)
    with torch.inference_mode():
        assert torch.equal(other.eval().classifier(tokens), objective.classifier(tokens))
