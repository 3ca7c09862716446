"""Fine-tuning SST-2 against the Hugging Face Trainer: the same model, rows, batch and thread, interleaved rounds.

    python benchmarks/bench_glue.py --data DIR [--updates 60] [--rounds 5] [--precision fp32|bf16]

DIR holds `sst2/train.jsonl`. The Trainer needs `accelerate`, which is no dependency of ours (`pip install accelerate`, or
put it on PYTHONPATH); without it there is nothing to compare with.

The model is `RobertaForSequenceClassification` of (H 64, L 2), post-norm, vocabulary 8,000, two labels; ours has the same
weights and is checked to give the same logits. `padded` is run_glue's default (every row padded to 128 when the data set
is made, `default_data_collator`), `dynamic` pads each batch to its longest row (`DataCollatorWithPadding`). Ours sorts by
length within pools of 64 batches. All draw their batches from the whole 67,349 rows in a random order; a round is a slice
of --updates updates of one epoch by each of the three in turn. Timed is the loop from its first update to its last, with
the making of batches, clipping, AdamW, the schedule; not tokenising and not scoring. Seconds are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import torch
from shrunk_core.config.cell import FinetuneSpec
from shrunk_core.config.spec import ModelSpec
from shrunk_core.downstream.classifier import Classifier
from shrunk_core.downstream.examples import Examples, encode_rows, training_batches
from shrunk_core.downstream.finetune import CellData, FineTuner
from shrunk_core.downstream.rows import read_split
from shrunk_core.downstream.tasks import find_task
from shrunk_core.downstream.weights import encoder_of
from shrunk_core.language.packing import BOS, EOS, PAD, UNK
from shrunk_core.language.tokenizer import Encoder
from shrunk_core.model.export import from_hugging_face
from shrunk_core.record.rundir import RunDir
from shrunk_core.train.arithmetic import set_up
from shrunk_core.train.runtime import Requests
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

BATCH, LENGTH, VOCABULARY, HIDDEN, LAYERS, RATE = 32, 128, 8000, 64, 2, 1e-3
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def model_spec() -> ModelSpec:
    return ModelSpec(
        embedding_size=HIDDEN, hidden_size=HIDDEN, intermediate_size=4 * HIDDEN, num_heads=2, num_layers=LAYERS, tie="full",
        norm="post", dropout=0.1, attention_dropout=0.1, vocab_size=VOCABULARY, max_positions=LENGTH + 2,
    )  # fmt: skip


def make_tokenizer(texts: list[str]) -> Tokenizer:
    """Byte-level BPE of the task's own text: lengths are then those of a tokenizer that knows the words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(texts, trainer)
    assert [tokenizer.token_to_id(t) for t in SPECIAL] == [BOS, PAD, EOS, UNK, 4]
    return tokenizer


class Theirs:
    """The Trainer on one data set and collator. `time()`: CPU seconds of its next updates."""

    def __init__(self, network: Any, rows: Any, collator: Any, updates: int, precision: str, folder: str) -> None:
        from transformers import Trainer, TrainerCallback, TrainingArguments

        self.round, self.began, self.seconds = 0, 0.0, 0.0
        clock = self

        class Clock(TrainerCallback):
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                clock.began = time.process_time()

            def on_train_end(self, *_: Any, **__: Any) -> None:
                clock.seconds = time.process_time() - clock.began

        def made(seed: int) -> Any:
            arguments = TrainingArguments(
                output_dir=folder, per_device_train_batch_size=BATCH, max_steps=updates, learning_rate=RATE, seed=seed,
                use_cpu=True, bf16=precision == "bf16", report_to=[], save_strategy="no", disable_tqdm=True,
                logging_steps=500,
            )  # fmt: skip
            return Trainer(
                model=network, args=arguments, train_dataset=rows, data_collator=collator, callbacks=[Clock()]
            )

        self.made = made

    def time(self) -> float:
        self.round += 1
        self.made(self.round).train()
        return self.seconds


class Ours:
    """Our fine-tuning of the same rows: updates of epoch after epoch, and the losses read as the loop reads them."""

    def __init__(self, examples: Examples, encoder: dict[str, torch.Tensor], updates: int, precision: str) -> None:
        spec = FinetuneSpec(
            learning_rates=(RATE,), batch_size=BATCH, max_length=LENGTH, pooling="first", precision=precision
        )
        self.tuner = FineTuner(
            find_task("sst2"), spec, model_spec(), encoder, CellData(train=examples, selection=None, scored={}), seed=0,
            device=torch.device("cpu"), cell=RunDir(Path("none")), requests=Requests(Path("none")), attempt=1,
        )  # fmt: skip
        self.lengths, self.updates, self.round = examples.lengths, updates, 0

    def time(self) -> float:
        self.round += 1
        self.tuner.model.train()
        began = time.process_time()
        batches = training_batches(self.lengths, BATCH, seed=0, epoch=self.round, bucketing=True)
        losses = [self.tuner._step(at, i + 1, RATE) for i, at in enumerate(batches[: self.updates])]
        assert np.isfinite(torch.stack(losses).tolist()).all()
        return time.process_time() - began


def same_logits(network: Any, ours: Classifier, examples: Examples) -> None:
    """Both compute the same function of the same weights."""
    head = network.classifier
    for mine, other in ((ours.dense, head.dense), (ours.out, head.out_proj)):
        mine.load_state_dict(other.state_dict())
    ids, real = examples.batch(np.arange(BATCH))
    assert real is not None
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(ids), attention_mask=torch.from_numpy(real).long()).logits
        found = ours.eval()(torch.from_numpy(ids), torch.from_numpy(real))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder that holds sst2/train.jsonl")
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    try:
        import accelerate  # pyright: ignore[reportMissingImports]
    except ImportError:
        sys.exit("the Trainer needs accelerate: pip install accelerate, in an environment of its own")
    import datasets
    import transformers
    from transformers import (
        DataCollatorWithPadding,
        PreTrainedTokenizerFast,
        RobertaConfig,
        RobertaForMaskedLM,
        RobertaForSequenceClassification,
        default_data_collator,
    )

    torch.set_num_threads(1)
    torch.manual_seed(0)
    set_up(options.precision, torch.device("cpu"))
    rows = read_split(find_task("sst2"), options.data, "train")
    tokenizer = make_tokenizer([text.lower() for text in rows.texts[0]])
    examples = encode_rows(rows, Encoder(tokenizer), LENGTH)
    config = RobertaConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=2,
        intermediate_size=4 * HIDDEN, type_vocab_size=1 + 1, max_position_embeddings=LENGTH + 2, layer_norm_eps=1e-5,
        pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS,
    )  # fmt: skip
    masked = RobertaForMaskedLM(config)

    def network() -> Any:
        made = RobertaForSequenceClassification(config)
        made.roberta.load_state_dict(masked.roberta.state_dict())
        return made

    encoder = encoder_of(from_hugging_face(model_spec(), masked.state_dict()))
    ours = Ours(examples, encoder, options.updates, options.precision)
    same_logits(network(), ours.tuner.model, examples)

    parts = np.split(examples.ids, examples.offsets[1:-1])
    labels = examples.labels.tolist()
    whole = np.full((len(parts), LENGTH), PAD)
    for row, part in zip(whole, parts, strict=True):
        row[: len(part)] = part
    padded = datasets.Dataset.from_dict(
        {"input_ids": whole.tolist(), "attention_mask": (whole != PAD).astype(int).tolist(), "label": labels}
    )
    bare = datasets.Dataset.from_dict(
        {"input_ids": [p.tolist() for p in parts], "attention_mask": [[1] * len(p) for p in parts], "label": labels}
    )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")
    with tempfile.TemporaryDirectory() as folder:
        settings = (options.updates, options.precision, folder)
        contenders = {
            "padded to 128": Theirs(network(), padded, default_data_collator, *settings),
            "dynamic padding": Theirs(network(), bare, DataCollatorWithPadding(wrapped), *settings),
            "ours": ours,
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(options.rounds + 1):
            for name, contender in contenders.items():
                took = contender.time()
                if turn:  # the first round warms up
                    seconds[name].append(took)
    done = options.updates * BATCH
    print(
        f"{options.precision}, one thread, (H {HIDDEN}, L {LAYERS}), batch {BATCH}, {options.updates} updates a round, "
        f"{options.rounds} rounds; rows of {examples.lengths.mean():.1f} tokens on average; torch {torch.__version__}, "
        f"transformers {transformers.__version__}, accelerate {accelerate.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    )
    for name, took in seconds.items():
        ratios = sorted(a / b for a, b in zip(took, seconds["ours"], strict=True))
        print(
            f"{name}: {done / statistics.median(took):,.0f} examples/s ({done / max(took):,.0f} to {done / min(took):,.0f}), "
            f"{statistics.median(ratios):.2f}x our time ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
            f"one epoch of {len(examples):,}: {len(examples) / done * statistics.median(took):.0f} s"
        )


if __name__ == "__main__":
    main()
