from pathlib import Path

import numpy as np
import torch
from torch import nn

from simcsp.model.cnn import CHANNELS, DilatedCnn
from simcsp.sequence.alphabet import A, C, with_special_tokens

LENGTH, REACH = 200, 60


def tokens(windows: int = 4) -> torch.Tensor:
    drawn = np.random.default_rng(0).integers(A, A + 4, size=(windows, LENGTH), dtype=np.uint8)
    return torch.from_numpy(with_special_tokens(drawn))


def make(seed: int = 0) -> DilatedCnn:
    return DilatedCnn(dropout=0.5, seed=seed).eval()


def test_parameters_are_those_of_four_convolutions_and_little_else() -> None:
    convolutions = 4 * (CHANNELS * CHANNELS * 9 + CHANNELS)
    norms, embedding, output = 4 * 2 * CHANNELS, 10 * CHANNELS, 2 * CHANNELS + 1
    assert sum(p.numel() for p in make().parameters()) == convolutions + norms + embedding + output == 37633


def test_it_gives_a_logit_and_the_states_of_both_nucleotides_of_the_site() -> None:
    logits, embedding = make()(tokens())
    assert logits.shape == (4,)
    assert embedding.shape == (4, 2 * CHANNELS)
    assert logits.std() > 0


def test_it_sees_sixty_nucleotides_on_either_side_of_the_site() -> None:
    """Without the norms, which look at whole windows, what lies farther off makes no difference."""
    network = make()
    network.norms = nn.ModuleList(nn.Identity() for _ in network.norms)
    window = tokens(1)
    middle = window.shape[1] // 2
    with torch.inference_mode():
        before = network(window)[1]
        for distance in range(1, 90):
            for place in (middle - 1 - distance, middle + distance):
                changed = window.clone()
                changed[0, place] = A if window[0, place] != A else C
                assert torch.equal(network(changed)[1], before) == (distance > REACH), distance


def test_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(7)
    first = make(seed=3)
    torch.manual_seed(8)
    again, other = make(seed=3), make(seed=4)
    assert torch.equal(first(tokens())[0], again(tokens())[0])
    assert not torch.equal(first(tokens())[0], other(tokens())[0])


def test_weights_come_back_from_disk(tmp_path: Path) -> None:
    first, other = make(seed=1), make(seed=2)
    first.save(tmp_path)
    other.restore(tmp_path)
    assert torch.equal(first(tokens())[0], other(tokens())[0])
