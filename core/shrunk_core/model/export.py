"""A trained model as a Hugging Face folder, and back: names of tensors, configuration, files.

Where a stock class has exactly our shape the folder needs no code of ours: `tie = "full"` is `RobertaForMaskedLM` (post)
or `RobertaPreLayerNormForMaskedLM` (pre), `tie = "projected"` with E != H and post is `ElectraForMaskedLM`. The other
shapes, and all causal models, are saved as model type `shrunk`, which `import shrunk_core.hf` registers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..config.spec import POSITION_OFFSET, ModelSpec, canonical_json, to_plain
from .encoder import PAD_ID

MODEL_TYPES = {
    "roberta": "RobertaForMaskedLM",
    "roberta-prelayernorm": "RobertaPreLayerNormForMaskedLM",
    "electra": "ElectraForMaskedLM",
    "shrunk": "ShrunkForMaskedLM",
}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def model_type(spec: ModelSpec) -> str:
    """The Hugging Face model type whose class computes this shape; a causal one is always ours.

    The stock classes for masked models look both ways whatever their configuration says.
    """
    if spec.causal:
        return "shrunk"
    if spec.tie == "full":
        return "roberta" if spec.norm == "post" else "roberta-prelayernorm"
    if spec.tie == "projected" and spec.norm == "post" and spec.embedding_size != spec.hidden_size:
        return "electra"
    return "shrunk"


def hf_config(spec: ModelSpec) -> dict[str, Any]:
    """The content of config.json."""
    kind = model_type(spec)
    config: dict[str, Any] = {
        "architectures": [MODEL_TYPES[kind]],
        "model_type": kind,
        "bos_token_id": 0,
        "pad_token_id": PAD_ID,
        "eos_token_id": 2,
        "vocab_size": spec.vocab_size,
        "max_position_embeddings": spec.max_positions,
        "tie_word_embeddings": spec.tie != "none",
    }
    if kind == "shrunk":
        return config | {"shape": to_plain(spec)}
    config |= {
        "hidden_size": spec.hidden_size,
        "intermediate_size": spec.intermediate_size,
        "num_attention_heads": spec.fixed_heads or spec.num_heads,
        "num_hidden_layers": spec.num_layers,
        "hidden_act": "gelu",
        "hidden_dropout_prob": spec.dropout,
        "attention_probs_dropout_prob": spec.attention_dropout,
        "layer_norm_eps": spec.layer_norm_eps,
        "type_vocab_size": 2,
    }
    if kind == "electra":
        config["embedding_size"] = spec.embedding_size
    return config


def _names(spec: ModelSpec) -> dict[str, str]:
    """Our tensor names to theirs, for a stock class; `query_key_value` is listed once and split by the caller."""
    kind = model_type(spec)
    root = {"roberta": "roberta", "roberta-prelayernorm": "roberta_prelayernorm", "electra": "electra"}[kind]
    names = {
        "encoder.embeddings.token.weight": f"{root}.embeddings.word_embeddings.weight",
        "encoder.embeddings.position.weight": f"{root}.embeddings.position_embeddings.weight",
        "encoder.embeddings.token_type.weight": f"{root}.embeddings.token_type_embeddings.weight",
    }
    modules = {"encoder.embeddings.norm": f"{root}.embeddings.LayerNorm"}
    if kind == "electra":
        modules["encoder.reduce"] = f"{root}.embeddings_project"
        modules |= {"head": "generator_predictions.dense", "head_norm": "generator_predictions.LayerNorm"}
        names["decoder_bias"] = "generator_lm_head.bias"
    else:
        modules |= {"head": "lm_head.dense", "head_norm": "lm_head.layer_norm"}
        names["decoder_bias"] = "lm_head.bias"
    pre = kind == "roberta-prelayernorm"
    if pre:
        modules["encoder.final_norm"] = f"{root}.LayerNorm"
    for i in range(spec.num_layers):
        ours, theirs = f"encoder.blocks.{i}", f"{root}.encoder.layer.{i}"
        modules |= {
            f"{ours}.query_key_value": f"{theirs}.attention.self.QKV",
            f"{ours}.attention_out": f"{theirs}.attention.output.dense",
            f"{ours}.attention_norm": f"{theirs}.attention.LayerNorm"
            if pre
            else f"{theirs}.attention.output.LayerNorm",
            f"{ours}.feed_forward_in": f"{theirs}.intermediate.dense",
            f"{ours}.feed_forward_out": f"{theirs}.output.dense",
            f"{ours}.feed_forward_norm": f"{theirs}.intermediate.LayerNorm" if pre else f"{theirs}.output.LayerNorm",
        }
    for ours, theirs in modules.items():
        names |= {f"{ours}.{part}": f"{theirs}.{part}" for part in ("weight", "bias")}
    return names


def _shift_positions(table: Tensor, by: int) -> Tensor:
    """ELECTRA counts positions from 0, we from 2: move the rows; the two that are never used go to the other end."""
    return torch.roll(table, by, dims=0)


def to_hugging_face(spec: ModelSpec, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under the names of the stock class, or under `model.` for type `shrunk`. Tied matrices once."""
    if model_type(spec) == "shrunk":
        return {f"model.{name}": tensor.detach().clone().contiguous() for name, tensor in state.items()}
    result: dict[str, Tensor] = {}
    for ours, theirs in _names(spec).items():
        tensor = state[ours].detach()
        if model_type(spec) == "electra" and ours == "encoder.embeddings.position.weight":
            tensor = _shift_positions(tensor, -POSITION_OFFSET)
        if ".QKV." in theirs:
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                result[theirs.replace("QKV", part)] = piece.clone().contiguous()
        else:
            result[theirs] = tensor.clone().contiguous()
    return result


def from_hugging_face(spec: ModelSpec, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_hugging_face`. KeyError for a tensor that the shape needs and `state` lacks."""
    if model_type(spec) == "shrunk":
        return {name.removeprefix("model."): tensor for name, tensor in state.items()}
    result: dict[str, Tensor] = {}
    for ours, theirs in _names(spec).items():
        if ".QKV." in theirs:
            result[ours] = torch.cat([state[theirs.replace("QKV", part)] for part in ("query", "key", "value")])
        else:
            result[ours] = state[theirs]
        if model_type(spec) == "electra" and ours == "encoder.embeddings.position.weight":
            result[ours] = _shift_positions(result[ours], POSITION_OFFSET)
    return result


def write_model(
    folder: Path, spec: ModelSpec, state: Mapping[str, Tensor], tokenizer: Path, notes: dict[str, Any]
) -> None:
    """Write a folder that `AutoModelForMaskedLM` and `AutoTokenizer` load; replaced as a whole when it is there already.

    tokenizer: folder with tokenizer.json and tokenizer_config.json. notes: kept beside as shrunk.json (run, update, loss).
    """
    temporary = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    (temporary / "config.json").write_text(json.dumps(hf_config(spec), indent=1) + "\n")
    weights = temporary / "model.safetensors"
    save_file(to_hugging_face(spec, state), str(weights), metadata={"format": "pt"})
    weights.chmod(
        (temporary / "config.json").stat().st_mode
    )  # safetensors writes for its user alone, whatever the umask
    (temporary / "shrunk.json").write_text(canonical_json(notes) + "\n")
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer / name, temporary / name)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
