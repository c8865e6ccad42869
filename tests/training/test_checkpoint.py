from __future__ import annotations

import resource
import signal
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from simcsp import storage
from simcsp.errors import InputError
from simcsp.training.checkpoint import (
    Progress,
    latest_checkpoint,
    prune_checkpoints,
    read_checkpoint,
    read_model,
    write_checkpoint,
    write_model,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.training.conftest import Tiny

PROGRESS = Progress(step=10, best={"sccs": (0.1 + 0.2, 7), "nmi": (1e-300, 10)})


@pytest.fixture
def trained(make_tiny: type[Tiny]) -> tuple[Tiny, torch.optim.AdamW]:
    """An objective and an optimiser that have done three steps."""
    module = make_tiny()
    optimiser = torch.optim.AdamW(module.parameters())
    for step in range(3):
        tokens = torch.full((2, 4), step)
        module(tokens, torch.tensor([0.0, 1.0]))["loss"].backward()
        optimiser.step()
    return module, optimiser


@pytest.fixture
def checkpoint(trained: tuple[Tiny, torch.optim.AdamW], tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "run", *trained, PROGRESS)


def fresh(make_tiny: type[Tiny]) -> tuple[Tiny, torch.optim.AdamW]:
    module = make_tiny(seed=1)
    return module, torch.optim.AdamW(module.parameters())


def moments(optimiser: torch.optim.Optimizer) -> list[dict[str, Any]]:
    return [{name: value.tolist() for name, value in s.items()} for s in optimiser.state_dict()["state"].values()]


def test_progress_remembers_the_step_of_the_best() -> None:
    progress = Progress().advance().with_best("sccs", -0.5).advance()
    assert (progress.step, progress.best) == (2, {"sccs": (-0.5, 1)})
    assert (progress.best_value("sccs"), progress.best_step("sccs")) == (-0.5, 1)
    assert (progress.best_value("nmi"), progress.best_step("nmi")) == (float("-inf"), 0)


def test_checkpoint_gives_back_weights_moments_and_progress_to_the_bit(
    checkpoint: Path, trained: tuple[Tiny, torch.optim.AdamW], make_tiny: type[Tiny]
) -> None:
    module, optimiser = fresh(make_tiny)
    assert checkpoint.name == "checkpoint-10"
    assert read_checkpoint(checkpoint, module, optimiser) == PROGRESS
    for name, value in trained[0].state_dict().items():
        assert torch.equal(module.state_dict()[name], value)
    assert moments(optimiser) == moments(trained[1])
    assert len(moments(optimiser)) == 5


def test_nothing_but_the_checkpoint_is_left_in_the_folder(checkpoint: Path) -> None:
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint-10"]
    assert {path.name for path in checkpoint.iterdir()} == {
        "model.safetensors", "optimizer.pt", "state.json", "SHA256SUMS",
    }  # fmt: skip


# --- damage --------------------------------------------------------------------------------------------------------


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


SPOIL = {
    "half": lambda path: cut(path, 0.5),
    "most": lambda path: cut(path, 0.9),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size)),
    "one bit": flip_a_bit,
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "state.json", "SHA256SUMS"])
@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
def test_damaged_file_is_named_and_nothing_is_read(
    checkpoint: Path, make_tiny: type[Tiny], name: str, spoil: Callable[[Path], None]
) -> None:
    spoil(checkpoint / name)
    module, optimiser = fresh(make_tiny)
    with pytest.raises(InputError, match="checkpoint-10: missing or not as it was written: ") as caught:
        read_checkpoint(checkpoint, module, optimiser)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value) or (name, spoil) == ("SHA256SUMS", flip_a_bit)  # then it is the hash of a file
    assert torch.equal(module.output.weight, make_tiny(seed=1).output.weight)
    assert moments(optimiser) == []


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
def test_damaged_model_is_named_and_not_read(
    make_tiny: type[Tiny], tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    write_model(tmp_path / "best", make_tiny(seed=1))
    spoil(tmp_path / "best" / "model.safetensors")
    with pytest.raises(InputError, match=r"best: missing or not as it was written: model\.safetensors"):
        read_model(tmp_path / "best", make_tiny())


@pytest.mark.parametrize(
    ("older", "way_out"),
    [((), "training then starts anew"), (("checkpoint-5", "checkpoint-9"), "training then goes on from checkpoint-9")],
)
def test_older_checkpoint_is_named_and_not_taken_unasked(
    checkpoint: Path, make_tiny: type[Tiny], older: tuple[str, ...], way_out: str
) -> None:
    for name in older:
        (checkpoint.parent / name).mkdir()
    cut(checkpoint / "optimizer.pt", 0.5)
    with pytest.raises(InputError, match=f"optimizer.pt. Delete this folder and run again; {way_out}"):
        read_checkpoint(checkpoint, *fresh(make_tiny))


def test_pickle_that_would_run_code_is_refused(checkpoint: Path, make_tiny: type[Tiny]) -> None:
    torch.save(Path("code"), checkpoint / "optimizer.pt")
    storage.write_checksums(checkpoint)
    with pytest.raises(UnpicklingError, match="Weights only load failed"):
        read_checkpoint(checkpoint, *fresh(make_tiny))


def test_checkpoint_is_on_the_disk_before_it_takes_its_place_and_its_log_before_it(
    trained: tuple[Tiny, torch.optim.AdamW], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut keeps what was flushed, in this order."""
    done: list[str] = []
    monkeypatch.setattr(storage, "flush_to_disk", lambda path: done.append(str(path.relative_to(tmp_path))))
    rename = Path.rename

    def noted(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", noted)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").touch()
    write_checkpoint(tmp_path / "run", *trained, PROGRESS)
    partial, place = "run/.checkpoint-10.partial", done.index("rename")
    files = {f"{partial}/{name}" for name in ("model.safetensors", "optimizer.pt", "state.json", "SHA256SUMS")}
    assert done[0] == "run/metrics.jsonl"
    assert {partial, *files} <= set(done[1:place])
    assert done[place + 1 :] == ["run"]


def test_disk_that_fills_up_under_the_optimiser_says_so_and_leaves_nothing(
    trained: tuple[Tiny, torch.optim.AdamW], tmp_path: Path
) -> None:
    """A limit on file size stands in for the full disk: both are errors of the operating system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))  # the weights fit, the moments do not
    try:
        with pytest.raises(OSError, match="File too large"):
            write_checkpoint(tmp_path / "run", *trained, PROGRESS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list((tmp_path / "run").iterdir()) == []


# --- which one -----------------------------------------------------------------------------------------------------


def test_latest_is_by_number_and_not_by_name(tmp_path: Path) -> None:
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-2"):
        (tmp_path / name).mkdir()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


@pytest.mark.parametrize(
    "name", [".checkpoint-10.partial", ".checkpoint-10.old", "checkpoint-10.partial", "checkpoint-", "best"]
)
def test_what_is_no_finished_checkpoint_is_never_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert latest_checkpoint(tmp_path) is None
    (tmp_path / "checkpoint-3").mkdir()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-3"


def test_a_folder_that_is_not_there_has_no_checkpoint(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "none") is None


def test_pruning_keeps_one_checkpoint_and_all_that_is_none(tmp_path: Path) -> None:
    for name in ("checkpoint-5", "checkpoint-10", "checkpoint-10-mine", "best_sccs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "checkpoint-notes.txt").touch()
    prune_checkpoints(tmp_path, keep=tmp_path / "checkpoint-10")
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint-10", "checkpoint-10-mine", "best_sccs", "checkpoint-notes.txt",
    }  # fmt: skip


def test_model_is_replaced_as_a_whole(make_tiny: type[Tiny], tmp_path: Path) -> None:
    target = tmp_path / "best"
    write_model(target, make_tiny(seed=0))
    (target / "left over").touch()
    write_model(target, make_tiny(seed=1))
    assert {path.name for path in target.iterdir()} == {"model.safetensors", "SHA256SUMS"}
    module = make_tiny(seed=2)
    read_model(target, module)
    assert torch.equal(module.output.weight, make_tiny(seed=1).output.weight)


def test_model_stays_when_its_successor_cannot_be_written(
    make_tiny: type[Tiny], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "best"
    write_model(target, make_tiny())
    before = (target / "model.safetensors").read_bytes()

    def fail(self: Tiny, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError("no more")

    monkeypatch.setattr(make_tiny, "save", fail)
    with pytest.raises(OSError, match="no more"):
        write_model(target, make_tiny(seed=1))
    assert (target / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_checkpoint_killed_while_written_is_written_again(
    trained: tuple[Tiny, torch.optim.AdamW], make_tiny: type[Tiny], tmp_path: Path
) -> None:
    partial = tmp_path / ".checkpoint-10.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    checkpoint = write_checkpoint(tmp_path, *trained, PROGRESS)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-10"]
    assert read_checkpoint(checkpoint, *fresh(make_tiny)) == PROGRESS


def test_checkpoint_is_json_and_plain_tensors(checkpoint: Path) -> None:
    assert storage.read_json(checkpoint / "state.json")["step"] == 10
    stored = torch.load(checkpoint / "optimizer.pt", weights_only=True)
    assert set(stored) == {"state", "param_groups"}
