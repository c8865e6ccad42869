"""The sides of the speed comparisons do the same work, and every script of them runs."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from accelerate.state import AcceleratorState
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
TINY = {"layers": 1, "hidden": 32, "heads": 2, "intermediate": 64, "tokens": 34, "batch": 2, "warmup": 1, "steps": 1}
# Embedding of 10 tokens, 512 positions and 2 types; four square and two rectangular matrices; three norms.
TINY_PARAMETERS = 32 * (10 + 512 + 2) + 4 * (32 * 32 + 32) + (32 * 64 + 64) + (64 * 32 + 32) + 3 * 64
SIDES = [
    ("peers", "mlm"), ("peers", "simcsp"), ("peers", "finetune_published"), ("peers", "finetune_bf16"),
    ("peers", "embedding"), ("engine", "mlm"), ("engine", "simcsp"), ("engine", "joint"), ("engine", "finetune"),
    ("engine", "embedding"),
]  # fmt: skip


@pytest.fixture
def one_side(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """``one_side.py``, importable as the scripts import it; libraries of the peers may warn."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    AcceleratorState._reset_state(reset_partial_state=True)
    yield importlib.import_module("one_side")
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("module", "function"), SIDES)
def test_every_side_measures_the_same_encoder(one_side: ModuleType, module: str, function: str) -> None:
    measured = getattr(importlib.import_module(module), function)(one_side.Work(**TINY))
    assert measured.parameters == TINY_PARAMETERS
    assert measured.seconds > 0
    assert measured.peak >= measured.idle > 0


@pytest.mark.filterwarnings("ignore")
def test_the_model_is_spliceberts_and_its_tokenizer_reads_every_letter(one_side: ModuleType, tmp_path: Path) -> None:
    peers = importlib.import_module("peers")
    work = one_side.Work(batch=1)
    model, tokenizer = peers._published(work, tmp_path)
    assert model.num_parameters() == 19_447_306
    assert (model.config.hidden_dropout_prob, model.config.attention_probs_dropout_prob) == (0.1, 0.1)
    ids = tokenizer(peers._sequences(work)[0])["input_ids"]
    assert len(ids) == 512
    assert ids[0] == 2
    assert ids[-1] == 3
    assert set(ids[1:-1]) == {6, 7, 8, 9}


def test_operations_are_those_that_torch_counts(one_side: ModuleType) -> None:
    work = one_side.Work(layers=3, hidden=32, heads=2, intermediate=48, tokens=20)
    config = BertConfig(vocab_size=10, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48)
    config._attn_implementation = "eager"
    model = BertModel(config, add_pooling_layer=False)
    with FlopCounterMode(display=False) as forward:
        hidden = model(torch.full((2, 20), 6)).last_hidden_state
    with FlopCounterMode(display=False) as backward:
        hidden.sum().backward()
    assert forward.get_total_flops() == work.operations * 2 * 20
    assert backward.get_total_flops() == 2 * forward.get_total_flops()


def test_a_clock_that_missed_a_step_is_an_error(one_side: ModuleType) -> None:
    clock = one_side.StepClock(one_side.Work(**TINY))
    clock.tick()
    with pytest.raises(RuntimeError, match="1 steps were run, 2 were asked for"):
        clock.measured(torch.nn.Linear(1, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "row"),
    [
        (
            "training_step.py",
            "--rows embedding --repeats 1 --steps 1 --tokens 34 --model 1 32 2 64",
            "| inference | 8 |",
        ),
        ("contrastive_memory.py", "--batch 8 --chunk 2 --tokens 34 --steps 1 --repeats 1", "| 2 |"),
        ("metrics.py", "--rows sccs --pairs 1100 --tokens 34 --model 1 32 2 64", "| SCCS, here | "),
        ("cost_curve.py", "--tokens-per-step 128 --lengths 64 --sizes 1 --batches --steps 1", "| 5 × 128 | 1,0"),
    ],
)
def test_scripts_print_their_table(script: str, arguments: str, row: str) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert row in done.stdout
    assert "not measured" in done.stdout or script != "training_step.py" or torch.cuda.is_available()


def test_a_side_that_fails_says_why(one_side: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"(?s)one_side\.absent ended with status 1.*no attribute 'absent'"):
        one_side.run_side("one_side", "absent", one_side.Work())
