from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from simcsp.model.embedding import embed
from simcsp.model.published import embed_around_sites, embed_doubly_framed, embed_sites_off_by_one, sites_of
from simcsp.sequence.alphabet import CLS, SEP, A, Tokens

Maker = Callable[..., Any]


@pytest.mark.parametrize("layer", [1, -1])
def test_the_site_of_the_minus_strand_is_pooled_one_nucleotide_upstream(
    make_encoder: Maker, windows: Tokens, accelerator: Accelerator, layer: int
) -> None:
    encoder, reverse = make_encoder(seed=4), np.array([False, True, True, False, True, False])
    vectors = embed_sites_off_by_one(encoder, windows, reverse, layer=layer, accelerator=accelerator)
    right = embed(encoder, windows, pooling="site", layer=layer, accelerator=accelerator)
    np.testing.assert_allclose(vectors[~reverse], right[~reverse], atol=1e-5)
    assert (np.abs(vectors[reverse] - right[reverse]).max(axis=1) > 0.01).all()
    # By the published formula: the site is at [9, 11) of 20 nt, and turned round it should be there again.
    i, j = 20 - 1 - 11, 20 - 1 - 9
    assert (i, j) == (8, 10)
    for window, vector in zip(windows[reverse], vectors[reverse], strict=True):
        ids = torch.tensor([[CLS, *window.tolist(), SEP]])
        with torch.inference_mode():
            output = encoder.base_model(input_ids=ids, output_hidden_states=True)
        hidden = output.last_hidden_state if layer == -1 else output.hidden_states[layer]
        np.testing.assert_allclose(vector, hidden[0, i + 1 : j + 1].flatten(), atol=1e-5)


def test_windows_framed_twice_are_read_as_such(make_encoder: Maker, windows: Tokens, accelerator: Accelerator) -> None:
    encoder = make_encoder(seed=4, tokens=24)
    vectors = embed_doubly_framed(encoder, windows, layer=-1, accelerator=accelerator)
    for window, vector in zip(windows, vectors, strict=True):
        ids = torch.tensor([[CLS, CLS, *window.tolist(), SEP, SEP]])
        with torch.inference_mode():
            hidden = encoder.base_model(input_ids=ids).last_hidden_state
        np.testing.assert_allclose(vector, hidden[0, 0], atol=1e-5)
    framed_once = embed(encoder, windows, pooling="cls", layer=-1, accelerator=accelerator)
    assert np.abs(vectors - framed_once).max() > 0.001


def test_what_is_framed_twice_is_cut_to_400_tokens(make_encoder: Maker, accelerator: Accelerator) -> None:
    """Of 400 nt the last two and both [SEP] are lost, so they cannot matter."""
    windows = np.random.default_rng(2).integers(A, A + 4, (2, 400), dtype=np.uint8)
    other_end = windows.copy()
    other_end[:, 398:] = A + (other_end[:, 398:] - A + 1) % 4
    encoder = make_encoder(tokens=404)
    first, second = (
        embed_doubly_framed(encoder, some, layer=-1, accelerator=accelerator) for some in (windows, other_end)
    )
    np.testing.assert_array_equal(first, second)
    other_end[:, 397] = A + (other_end[:, 397] - A + 1) % 4
    third = embed_doubly_framed(encoder, other_end, layer=-1, accelerator=accelerator)
    assert (first != third).any()


@pytest.mark.parametrize("architecture", ["bert"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_one_pass_gives_what_a_pass_for_each_layer_and_recipe_gives(
    make_encoder: Maker, windows: Tokens, accelerator: Accelerator, layer: int
) -> None:
    encoder, reverse = make_encoder(seed=4), np.array([False, True, True, False, True, False])
    around = embed_around_sites(encoder, windows, accelerator)
    assert around.shape == (6, 3, 4, 16)
    assert around.dtype == np.dtype(np.float16)
    right = embed(encoder, windows, pooling="site", layer=layer, accelerator=accelerator)
    np.testing.assert_allclose(sites_of(around, reverse, layer=layer, off_by_one=False), right, rtol=1e-3, atol=1e-4)
    published = embed_sites_off_by_one(encoder, windows, reverse, layer=layer, accelerator=accelerator)
    np.testing.assert_allclose(sites_of(around, reverse, layer=layer, off_by_one=True), published, rtol=1e-3, atol=1e-4)
    first = embed(encoder, windows, pooling="cls", layer=layer, accelerator=accelerator)
    np.testing.assert_allclose(around[:, layer, 0], first, rtol=1e-3, atol=1e-4)
