"""The weights a cell starts from: a run's best, final, untrained or numbered checkpoint, checked against the run."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ..config.spec import RunSpec
from ..errors import DataError, RunError
from ..language.tokenizer import tokenizer_folder
from ..model.export import from_hugging_face
from ..model.heads import MaskedLanguageModel
from ..model.init import initialise
from ..record.rundir import RunDir
from ..train import checkpoint


def load_weights(lab: Path, run: RunDir, spec: RunSpec, which: str) -> dict[str, Tensor]:
    """The state of the whole masked language model.

    which: `best` (the run's `model/`), `final` (the last update), `untrained` (the run's own initialisation, remade from
    its seed), or a number of updates. DataError when the checkpoint is of another shape or tokenizer.
    """
    model = MaskedLanguageModel(spec.model)
    if which == "untrained":
        initialise(model, spec.train.init, spec.seed)
        return model.state_dict()
    if which == "best":
        state = _best(lab, run, spec)
    else:
        update = spec.train.updates if which == "final" else int(which)
        if update not in checkpoint.saved_updates(run.checkpoints):
            raise RunError(f"run {run.run_id} has kept no checkpoint of update {update} (train.keep_checkpoints)")
        state = checkpoint.load(run.checkpoints, update)[1]["model"]
    try:
        model.load_state_dict(state)
    except RuntimeError as problem:
        raise DataError(f"the checkpoint `{which}` of run {run.run_id} is of another shape: {problem}") from None
    return model.state_dict()


def _best(lab: Path, run: RunDir, spec: RunSpec) -> dict[str, Tensor]:
    path = run.model / "model.safetensors"
    try:
        state = from_hugging_face(spec.model, load_file(str(path)))
    except FileNotFoundError:
        raise RunError(f"run {run.run_id} has no {path}: train it first, or take another checkpoint") from None
    except KeyError as problem:
        raise DataError(f"{path} is of another shape than the run: it has no tensor {problem}") from None
    except Exception as problem:
        raise DataError(f"{path} cannot be read: {problem}") from problem
    ours = tokenizer_folder(lab, spec.tokenizer_fingerprint) / "tokenizer.json"
    theirs = run.model / "tokenizer.json"
    if theirs.is_file() and ours.is_file() and _digest(theirs) != _digest(ours):
        raise DataError(
            f"{run.model} has another tokenizer than the run was made with ({theirs} differs from {ours}): its weights "
            "would be given the wrong tokens. Train the run again, or put the right folder back."
        )
    return state


def encoder_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's part of a masked language model's state."""
    prefix = "encoder."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
