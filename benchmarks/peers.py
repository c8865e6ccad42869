"""The other side of the comparisons: the libraries at their defaults, set up as the published scripts do.

    python benchmarks/one_side.py peers mlm '{"batch": 8}'

All get SpliceBERT's architecture with random weights in fp32, dropout 0.1 on hidden states and attention, and random
sequence with its letters spaced, without which SpliceBERT's tokenizer reads one ``[UNK]``. Nothing is imported from
this project.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from one_side import Measured, StepClock, Work
from sentence_transformers import InputExample, SentenceTransformer, losses, models
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

_VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "N", "A", "C", "G", "T")


def mlm(work: Work) -> Measured:
    """Hugging Face ``Trainer`` with ``DataCollatorForLanguageModeling``; sequences are tokenized beforehand."""
    with TemporaryDirectory() as name:
        model, tokenizer = _published(work, Path(name))
        settings = TrainingArguments(
            output_dir=name,
            per_device_train_batch_size=work.batch,
            max_steps=work.warmup + work.steps,
            save_strategy="no",
            disable_tqdm=True,
        )
        clock = StepClock(work)
        Trainer(
            model=model,
            args=settings,
            train_dataset=Dataset.from_dict(dict(tokenizer(_sequences(work)))),
            data_collator=DataCollatorForLanguageModeling(tokenizer),
            callbacks=[_Ticking(clock)],
        ).train()
    return clock.measured(model.base_model)


def simcsp(work: Work) -> Measured:
    """``MultipleNegativesRankingLoss`` as SimCSP's pretrain.py sets it up: every sequence twice, ``[CLS]``, ``fit``.

    Mixed precision is on where there is CUDA, as there; on a CPU the library has none.
    """
    with TemporaryDirectory() as name:
        _published(work, Path(name))
        transformer = models.Transformer(name, max_seq_length=work.tokens)
        pooling = models.Pooling(transformer.get_embedding_dimension(), pooling_mode="cls")
        model = SentenceTransformer(modules=[transformer, pooling])
        pairs = [InputExample(texts=(sequence, sequence)) for sequence in _sequences(work)]
        clock = StepClock(work)
        model.fit(
            train_objectives=[
                (DataLoader(pairs, batch_size=work.batch, shuffle=True), losses.MultipleNegativesRankingLoss(model))
            ],
            epochs=1,
            optimizer_class=_ticking_adamw(clock),
            optimizer_params={"lr": 3e-5},
            use_amp=torch.cuda.is_available(),
            show_progress_bar=False,
            checkpoint_path=name,
            checkpoint_save_steps=1000,
        )
    return clock.measured(transformer.auto_model)


def finetune_published(work: Work) -> Measured:
    """The loop of SpliceBERT's train_splicebert_cv.py; its mixed precision is CUDA's, a CPU computes in fp32."""
    cuda = torch.cuda.is_available()
    return _finetune(work, torch.autocast("cuda", torch.float16, enabled=cuda), scale=cuda)


def finetune_bf16(work: Work) -> Measured:
    """The same loop under bf16 autocast."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return _finetune(work, torch.autocast(device, torch.bfloat16), scale=False)


def embedding(work: Work) -> Measured:
    """The loop of SpliceBERT's fetch_embedding.py: all layers, the two central nucleotides, no mask, no ``no_grad``."""
    with TemporaryDirectory() as name:
        _, tokenizer = _published(work, Path(name))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = AutoModel.from_pretrained(name, add_pooling_layer=False, output_hidden_states=True).to(device)
        sequences, middle = _sequences(work), work.tokens // 2
        clock, found = StepClock(work), []
        for start in range(0, work.windows, work.batch):
            batch = [torch.as_tensor(tokenizer.encode(one)) for one in sequences[start : start + work.batch]]
            states = torch.stack(model(torch.stack(batch).to(device)).hidden_states, dim=1).detach()
            found.append(states[:, :, middle - 1 : middle + 1].cpu().numpy().astype(np.float16))
            clock.tick()
    return clock.measured(model)


class _Ticking(TrainerCallback):
    def __init__(self, clock: StepClock) -> None:
        self._clock = clock

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._clock.tick()


def _ticking_adamw(clock: StepClock) -> type[torch.optim.AdamW]:
    """The optimiser is all of a step that ``fit`` lets its caller choose."""

    class Ticking(torch.optim.AdamW):
        def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
            loss = super().step(closure)
            clock.tick()
            return loss

    return Ticking


def _finetune(work: Work, precision: torch.autocast, *, scale: bool) -> Measured:
    with TemporaryDirectory() as name:
        _, tokenizer = _published(work, Path(name))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=1).to(device)
        tokens = torch.tensor(tokenizer(_sequences(work))["input_ids"])
        labels = torch.arange(work.windows) % 2
        data = TensorDataset(tokens, torch.ones_like(tokens), labels)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=1e-6)
        scaler = torch.amp.GradScaler(device.type, enabled=scale)
        model.train()
        clock, total = StepClock(work), 0.0
        for ids, mask, label in DataLoader(data, batch_size=work.batch, shuffle=True, drop_last=True):
            optimizer.zero_grad()
            with precision:
                logits = model(ids.to(device), attention_mask=mask.to(device)).logits.squeeze(1)
                loss = functional.binary_cross_entropy_with_logits(logits, label.to(device).float())
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            total += loss.item()
            clock.tick()
    return clock.measured(model.base_model)


def _published(work: Work, folder: Path) -> tuple[BertForMaskedLM, BertTokenizer]:
    """A checkpoint like the published one, written to ``folder``."""
    torch.manual_seed(0)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=len(_VOCABULARY),
            hidden_size=work.hidden,
            num_hidden_layers=work.layers,
            num_attention_heads=work.heads,
            intermediate_size=work.intermediate,
            max_position_embeddings=work.positions,
        )
    )
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(_VOCABULARY) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False, model_max_length=work.positions)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


def _sequences(work: Work) -> list[str]:
    letters = np.array(list("ACGT"))[np.random.default_rng(0).integers(4, size=(work.windows, work.tokens - 2))]
    return [" ".join(row) for row in letters]
