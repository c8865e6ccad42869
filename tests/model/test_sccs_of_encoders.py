"""SCCS of an encoder is what sentence-transformers' evaluator makes of the same weights and pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate import Accelerator
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

from simcsp.metrics.sccs import draw_pairs, sccs
from simcsp.model.embedding import embed
from simcsp.model.encoder import save_checkpoint
from simcsp.sequence.alphabet import VOCABULARY

Maker = Callable[..., Any]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_sccs_is_that_of_the_sentence_transformers_evaluator(
    make_encoder: Maker, accelerator: Accelerator, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1001)
    windows = rng.integers(6, 10, size=(1001, 20), dtype=np.uint8)
    windows[labels == 1, 8:12] = 6  # splice sites have something in common
    encoder = make_encoder(seed=4)
    for matrix in (weight for weight in encoder.parameters() if weight.dim() > 1):
        matrix.data *= 10  # else cosines differ from 1 by less than the evaluator's float32 can rank
    ours = sccs(embed(encoder, windows, pooling="cls", layer=-1, accelerator=accelerator), labels, seed=7)

    save_checkpoint(encoder, tmp_path)
    transformer = Transformer(str(tmp_path), max_seq_length=22)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="cls")
    sentences = [" ".join(VOCABULARY[token] for token in window) for window in windows]
    first, second = draw_pairs(1001, np.random.default_rng(7)).T
    theirs = EmbeddingSimilarityEvaluator(
        [sentences[row] for row in first],
        [sentences[row] for row in second],
        (labels[first] == labels[second]).astype(float).tolist(),
        main_similarity="cosine",
        write_csv=False,
    )(SentenceTransformer(modules=[transformer, pooling], device="cpu"))
    assert abs(ours.value) > 0.05
    assert ours.value == pytest.approx(theirs["spearman_cosine"], abs=1e-5)  # float32 similarities may change ranks
