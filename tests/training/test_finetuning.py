from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedModel

from simcsp import storage
from simcsp.config import EncoderConfig, FinetuneConfig, RunConfig
from simcsp.datasets.splits import Fold
from simcsp.datasets.windows import WindowTable, window_table
from simcsp.metrics.sccs import sccs
from simcsp.model.cnn import DilatedCnn
from simcsp.model.embedding import classify, embed
from simcsp.model.encoder import load_checkpoint, load_encoder
from simcsp.sequence.alphabet import A, G, T, with_special_tokens
from simcsp.training import finetuning
from simcsp.training.batches import EmbeddedBatches, EpochBatches
from simcsp.training.finetuning import asked_rows, drawn_rows, embed_rows, finetune_fold, planned_steps
from simcsp.training.log import read_metrics

LENGTH = 20
CONFIG = RunConfig(
    encoder=EncoderConfig(hidden=16, layers=1, heads=2, intermediate=32, local_attention=8),
    finetune=FinetuneConfig(epochs=4, batch_size=8, learning_rate=0.02, patience=2),
)


class Finished(NamedTuple):
    folder: Path
    steps: int


class KilledError(Exception):
    pass


def make_table() -> WindowTable:
    """60 random windows; half of them have GT at the centre and are splice sites, a quarter of each site type."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(A, A + 4, size=(60, LENGTH), dtype=np.uint8)
    label = (np.arange(60) // 2 % 2).astype(np.uint8)
    tokens[label == 1, LENGTH // 2 - 1 : LENGTH // 2 + 1] = G, T
    return window_table(
        tokens,
        label=label,
        site_type=(np.arange(60) % 2).astype(np.uint8),
        species="x",
        group=[str(row) for row in range(60)],
        origin=[f"chr1:{row}" for row in range(60)],
    )


TABLE = make_table()
FOLD = Fold(*np.split(np.random.default_rng(1).permutation(60), [36, 48]))


def make_encoder(seed: int = 0) -> PreTrainedModel:
    return load_encoder(CONFIG.encoder, LENGTH + 2, seed)


def call(folder: Path, accelerator: Accelerator, *, encoder_seed: int = 0, seed: int = 5, **settings: Any) -> int:
    """Fine-tune; gives the steps that the progress bar counted."""
    finetune = FinetuneConfig(**{**vars(CONFIG.finetune), **settings})
    config = RunConfig(encoder=CONFIG.encoder, finetune=finetune)
    with tqdm(file=StringIO()) as bar:
        finetune_fold(make_encoder(encoder_seed), TABLE, FOLD, config, seed, folder, accelerator, bar)
    return int(bar.n)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("finetune") / "fold-0"
    AcceleratorState._reset_state(reset_partial_state=True)
    yield Finished(folder, call(folder, Accelerator(cpu=True, mixed_precision="no")))
    AcceleratorState._reset_state(reset_partial_state=True)


def predictions_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "predictions.parquet")


def same_embeddings(left: Path, right: Path) -> bool:
    one, other = (np.load(folder / "test_embeddings.npz") for folder in (left, right))
    return all(np.array_equal(one[name], other[name]) for name in ("before", "after"))


# --- rows ----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(labels=st.integers(1, 35), seed=st.integers(0, 2**32 - 1))
def test_labels_draws_that_many_training_rows_by_seed(labels: int, seed: int) -> None:
    rows = drawn_rows(FOLD.train, labels, seed)
    assert len(rows) == len(set(rows)) == labels
    assert set(rows) <= set(FOLD.train)
    assert (rows == drawn_rows(FOLD.train, labels, seed)).all()


def test_other_seeds_draw_other_rows() -> None:
    assert len({tuple(drawn_rows(FOLD.train, 10, seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize("labels", [0, 36, 1000])
def test_all_rows_are_used_without_labels_or_with_more_than_there_are(labels: int) -> None:
    assert (drawn_rows(FOLD.train, labels, seed=0) == FOLD.train).all()


@pytest.mark.parametrize(
    ("labels", "batch_size", "steps"), [(0, 8, 4 * 4), (0, 36, 4), (0, 64, 4), (10, 8, 4), (10, 4, 4 * 2), (99, 9, 16)]
)
def test_planned_steps_are_those_of_the_batches(labels: int, batch_size: int, steps: int) -> None:
    config = RunConfig(finetune=FinetuneConfig(epochs=4, labels=labels, batch_size=batch_size))
    batches = EpochBatches(TABLE.take(drawn_rows(FOLD.train, labels, 0)), batch_size, seed=0)
    assert planned_steps(FOLD, config) == steps == 4 * batches.steps_per_epoch


# --- what a fold leaves --------------------------------------------------------------------------------------------


def test_a_fold_leaves_model_predictions_embeddings_and_done(finished: Finished) -> None:
    names = {path.name for path in finished.folder.iterdir() if not path.name.startswith(("events.", "checkpoint-"))}
    assert names == {"best", "predictions.parquet", "test_embeddings.npz", "metrics.jsonl", "done.json"}


def test_predictions_hold_every_validation_and_test_row_once(finished: Finished) -> None:
    table = predictions_of(finished.folder)
    assert list(table["row"]) == list(asked_rows(FOLD)) == [*FOLD.validation, *FOLD.test]
    assert list(table.part) == ["validation"] * 12 + ["test"] * 12
    assert table.probability.between(0, 1).all()
    assert table.probability.nunique() > 12
    for column in ("label", "site_type", "species", "origin"):
        assert list(table[column]) == list(getattr(TABLE, column)[table["row"]])


def test_kept_model_is_that_of_the_best_validation_auroc(finished: Finished) -> None:
    curve = {r["step"]: r["validation/auroc"] for r in read_metrics(finished.folder) if "validation/auroc" in r}
    assert list(curve)[:2] == [0, 4]  # an epoch has four batches
    later = {step: value for step, value in curve.items() if step}
    best = max(later, key=lambda step: later[step])
    done = storage.read_json(finished.folder / "done.json")
    assert done["best"] == {"validation/auroc": [later[best], best]}
    validation = predictions_of(finished.folder).query("part == 'validation'")
    assert roc_auc_score(validation.label, validation.probability) == later[best]


def test_validation_scores_are_logged_for_all_sites_and_for_each_type(finished: Finished) -> None:
    (first, *_) = [record for record in read_metrics(finished.folder) if record["step"] == 0]
    names = {name for name in first if name.startswith("validation/")}
    assert {"validation/auroc", "validation/f1_donor", "validation/f1_acceptor"} <= names
    assert len(names) == 3 * 7
    assert not any(name.startswith("test") for record in read_metrics(finished.folder) for name in record)


def reloaded(folder: Path) -> tuple[PreTrainedModel, dict[str, Tensor]]:
    return load_checkpoint(folder / "best", dropout=0.0, tokens=LENGTH + 2), load_file(
        folder / "best" / "head.safetensors"
    )


def test_predictions_are_those_of_the_kept_model(finished: Finished) -> None:
    encoder, head = reloaded(finished.folder)
    table = predictions_of(finished.folder)
    tokens = torch.from_numpy(with_special_tokens(TABLE.tokens[table["row"].to_numpy()])).long()
    with torch.inference_mode():
        hidden = encoder.eval().base_model(input_ids=tokens).last_hidden_state  # type: ignore[no-untyped-call]
    pooled = torch.cat([hidden[:, 10], hidden[:, 11]], dim=1)  # the dinucleotide at the centre, behind [CLS]
    logits = pooled @ head["weight"][0] + head["bias"]
    assert torch.sigmoid(logits).numpy() == pytest.approx(table.probability.to_numpy(), abs=1e-6)


def test_embeddings_are_of_the_test_windows_before_and_after(finished: Finished, accelerator: Accelerator) -> None:
    stored = np.load(finished.folder / "test_embeddings.npz")
    encoder, _ = reloaded(finished.folder)
    for when, model in (("before", make_encoder()), ("after", encoder)):
        expected = embed(model, TABLE.tokens[FOLD.test], pooling="site", layer=-1, accelerator=accelerator)
        assert stored[when].shape == (12, 32)
        assert stored[when] == pytest.approx(expected, abs=1e-6)
    assert not np.allclose(stored["before"], stored["after"], atol=1e-2)


def test_a_fold_that_stops_early_still_fills_its_share_of_the_bar(finished: Finished) -> None:
    assert finished.steps == planned_steps(FOLD, CONFIG)


# --- seeds and interruptions ---------------------------------------------------------------------------------------


class Seen(NamedTuple):
    head: Tensor
    batches: EpochBatches


@pytest.fixture
def what_is_trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, accelerator: Accelerator) -> Callable[..., Seen]:
    """``what_is_trained(encoder_seed=…, seed=…, …)``: what the training loop would have been given."""

    def give(**arguments: Any) -> Seen:
        seen: list[Seen] = []

        def instead(objective: Any, batches: EpochBatches, *_: Any) -> None:
            seen.append(Seen(objective.classifier.output.weight.detach(), batches))
            raise KilledError

        monkeypatch.setattr(finetuning, "train", instead)
        with pytest.raises(KilledError):
            call(tmp_path / "fold", accelerator, **arguments)
        return seen[0]

    return give


def test_only_training_windows_are_trained_on(what_is_trained: Callable[..., Seen]) -> None:
    seen = what_is_trained()
    assert (seen.batches.tokens == with_special_tokens(TABLE.tokens[FOLD.train])).all()
    few = what_is_trained(labels=10)
    assert (few.batches.tokens == with_special_tokens(TABLE.tokens[drawn_rows(FOLD.train, 10, 5)])).all()


def test_encoders_of_a_fold_share_head_and_order_and_folds_do_not(what_is_trained: Callable[..., Seen]) -> None:
    one, other, fold = what_is_trained(), what_is_trained(encoder_seed=1), what_is_trained(seed=6)
    assert torch.equal(one.head, other.head)
    assert torch.equal(one.batches(0)["tokens"], other.batches(0)["tokens"])
    assert not torch.equal(one.head, fold.head)
    assert not torch.equal(one.batches(0)["tokens"], fold.batches(0)["tokens"])


def test_fold_killed_and_resumed_equals_uninterrupted(
    finished: Finished, tmp_path: Path, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "fold-0"

    def batch(self: EpochBatches, step: int, whole: Any = EpochBatches.__call__) -> Any:
        if step == 6:
            raise KilledError
        return whole(self, step)

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(EpochBatches, "__call__", batch)
        call(folder, accelerator)
    assert not (folder / "done.json").exists()
    assert call(folder, accelerator) == finished.steps
    assert predictions_of(folder).equals(predictions_of(finished.folder))
    assert same_embeddings(folder, finished.folder)
    assert (folder / "done.json").read_bytes() == (finished.folder / "done.json").read_bytes()


# --- frozen encoder ------------------------------------------------------------------------------------------------

FROZEN = RunConfig(encoder=CONFIG.encoder, finetune=replace(CONFIG.finetune, frozen=True))
EVERY_ROW = np.arange(60)


def call_frozen(folder: Path, accelerator: Accelerator, encoder: PreTrainedModel | None = None) -> int:
    encoder = encoder or make_encoder()
    with tqdm(file=StringIO()) as bar:
        embeddings = embed_rows(encoder, TABLE, EVERY_ROW, FROZEN, accelerator, tqdm(disable=True))
        finetune_fold(encoder, TABLE, FOLD, FROZEN, 5, folder, accelerator, bar, embeddings)
    return int(bar.n)


def never_trained(encoder: PreTrainedModel) -> PreTrainedModel:
    """What frozen means, the plain way: no gradients, and evaluation mode also while the classifier is trained."""
    encoder.requires_grad_(requires_grad=False)
    encoder.train(mode=False)
    encoder.train = lambda mode=True: encoder  # type: ignore[method-assign]
    return encoder


def test_frozen_equals_training_without_gradients_in_evaluation_mode(tmp_path: Path, accelerator: Accelerator) -> None:
    with tqdm(disable=True) as bar:
        encoder = never_trained(make_encoder())
        finetune_fold(encoder, TABLE, FOLD, CONFIG, 5, tmp_path / "plain", accelerator, bar)
    call_frozen(tmp_path / "frozen", accelerator)
    plain, frozen = (predictions_of(tmp_path / name) for name in ("plain", "frozen"))
    assert frozen.probability.to_numpy() == pytest.approx(plain.probability.to_numpy(), abs=1e-6)
    (_, one), (_, other) = (reloaded(tmp_path / name) for name in ("plain", "frozen"))
    assert other["weight"].numpy() == pytest.approx(one["weight"].numpy(), abs=1e-6)
    for record, expected in zip(*(read_metrics(tmp_path / name) for name in ("frozen", "plain")), strict=True):
        for name in ("step", "train/loss", "train/gradient_norm", "validation/auroc", "validation/f1_donor"):
            assert record.get(name) == pytest.approx(expected.get(name), abs=1e-5)


def test_frozen_encoder_is_kept_beside_its_head_as_it_was(tmp_path: Path, accelerator: Accelerator) -> None:
    assert call_frozen(tmp_path, accelerator) == planned_steps(FOLD, FROZEN)
    encoder, head = reloaded(tmp_path)
    assert all(torch.equal(one, encoder.state_dict()[name]) for name, one in make_encoder().state_dict().items())
    stored = np.load(tmp_path / "test_embeddings.npz")
    assert np.array_equal(stored["before"], stored["after"])
    expected = embed(encoder, TABLE.tokens[FOLD.test], pooling="site", layer=-1, accelerator=accelerator)
    assert stored["after"] == pytest.approx(expected, abs=1e-6)
    logits = torch.from_numpy(stored["after"]) @ head["weight"][0] + head["bias"]
    test = predictions_of(tmp_path).query("part == 'test'")
    assert torch.sigmoid(logits).numpy() == pytest.approx(test.probability.to_numpy(), abs=1e-6)


def test_frozen_fold_never_runs_its_encoder_again(
    tmp_path: Path, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make_encoder()
    embeddings = embed_rows(encoder, TABLE, EVERY_ROW, FROZEN, accelerator, tqdm(disable=True))
    monkeypatch.setattr(encoder.base_model, "forward", None)
    finetune_fold(encoder, TABLE, FOLD, FROZEN, 5, tmp_path, accelerator, tqdm(disable=True), embeddings)
    assert (tmp_path / "done.json").exists()


def test_frozen_fold_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KilledError

    call_frozen(tmp_path / "whole", accelerator)
    moments = ((EmbeddedBatches, "rows", lambda self, step: killed()), (finetuning, "write_predictions", killed))
    for owner, name, dies in moments:
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(owner, name, dies)
            call_frozen(tmp_path / "parts", accelerator)
    call_frozen(tmp_path / "parts", accelerator)
    for name in ("predictions.parquet", "done.json", "best/head.safetensors", "best/model.safetensors"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert same_embeddings(tmp_path / "parts", tmp_path / "whole")


def test_cnn_is_trained_by_the_same_loop_on_the_same_windows(tmp_path: Path, accelerator: Accelerator) -> None:
    config = RunConfig(encoder=CONFIG.encoder, finetune=replace(CONFIG.finetune, epochs=8, patience=8))
    with tqdm(file=StringIO()) as bar:
        network = DilatedCnn(dropout=0.1, seed=1)
        finetune_fold(network, TABLE, FOLD, config, 5, tmp_path, accelerator, bar, transfer=TABLE.take(FOLD.test))
    predicted = predictions_of(tmp_path)
    test = predicted[predicted.part == "test"]
    assert list(predicted["row"]) == list(asked_rows(FOLD))
    assert roc_auc_score(test.label, test.probability) > 0.9  # half of the windows have GT at the centre
    stored = np.load(tmp_path / "test_embeddings.npz")
    assert stored["before"].shape == stored["after"].shape == (12, 64)
    assert not np.array_equal(stored["before"], stored["after"])
    again = DilatedCnn(dropout=0.1, seed=2)
    again.restore(tmp_path / "best")
    assert classify(again, TABLE.tokens[FOLD.test], accelerator)[0] == pytest.approx(test.probability.to_numpy())


def test_windows_of_other_species_are_predicted_by_the_kept_model(tmp_path: Path, accelerator: Accelerator) -> None:
    others = TABLE.take(FOLD.test)._replace(species=np.full(12, "fly"))
    for frozen in (False, True):
        config = RunConfig(encoder=CONFIG.encoder, finetune=replace(CONFIG.finetune, frozen=frozen))
        folder = tmp_path / str(frozen)
        with tqdm(file=StringIO()) as bar:
            encoder = make_encoder()
            rows = np.arange(60)
            vectors = embed_rows(encoder, TABLE, rows, config, accelerator, bar) if frozen else None
            finetune_fold(encoder, TABLE, FOLD, config, 5, folder, accelerator, bar, vectors, others)
        found, own = pd.read_parquet(folder / "transfer.parquet"), predictions_of(folder)
        assert set(found.species) == {"fly"}
        assert list(found.label) == list(others.label)
        test = own[own.part == "test"].probability.to_numpy()
        assert found.probability.to_numpy() == pytest.approx(test, abs=1e-6)


def test_followed_folds_log_sccs_and_nmi_of_the_validation_windows(tmp_path: Path, accelerator: Accelerator) -> None:
    call(tmp_path, accelerator, follow=True, epochs=2)
    records = [r for r in read_metrics(tmp_path) if "validation/sccs" in r]
    assert [r["step"] for r in records] == [0, 4, 8]
    assert all(-1 <= r["validation/sccs"] <= 1 and 0 <= r["validation/nmi"] <= 1 for r in records)
    config = RunConfig(encoder=CONFIG.encoder)
    vectors = embed(make_encoder(), TABLE.tokens[FOLD.validation], pooling="site", layer=-1, accelerator=accelerator)
    assert records[0]["validation/sccs"] == sccs(vectors, TABLE.label[FOLD.validation], config.seed).value


def test_only_the_rows_asked_for_are_embedded_and_counted(accelerator: Accelerator) -> None:
    rows = np.array([3, 7, 59])
    with tqdm(file=StringIO()) as bar:
        embeddings = embed_rows(make_encoder(), TABLE, rows, CONFIG, accelerator, bar)
    assert bar.n == 3
    assert list(np.flatnonzero(~np.isnan(embeddings).any(axis=1))) == list(rows)
    expected = embed(make_encoder(), TABLE.tokens[rows], pooling="site", layer=-1, accelerator=accelerator)
    assert np.array_equal(embeddings[rows], expected)
