"""One door to every law: `fit("power", x=..., y=...)`. What `shrunk fit FORM` and the Scaling screen call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from shrunk_core.errors import FitError

from .bnsl import fit_bnsl
from .broken import fit_broken
from .chinchilla import fit_chinchilla
from .inputs import one_of
from .powerlaw import fit_power
from .result import FitResult

FORMS = ("power", "broken", "chinchilla", "kaplan", "bnsl")
DEFAULT_LOSS = {"power": "huber", "broken": "lsq", "chinchilla": "huber", "kaplan": "huber", "bnsl": "lsq"}
DEFAULT_STARTS = {"power": 32, "broken": 1, "chinchilla": 500, "kaplan": 200, "bnsl": 400}


def fit(
    form: str,
    *,
    y: ArrayLike,
    x: ArrayLike | None = None,
    n: ArrayLike | None = None,
    d: ArrayLike | None = None,
    flops: ArrayLike | None = None,
    runs: ArrayLike | None = None,
    seeds: ArrayLike | None = None,
    countings: ArrayLike | None = None,
    evaluations: ArrayLike | None = None,
    loss: str | None = None,
    starts: int | None = None,
    bootstrap: int = 1000,
    breaks: int = 1,
    jump: bool = True,
    irreducible: bool = False,
    drop_highest_loss: int = 0,
    hold_out_largest: bool = False,
    seed: int = 0,
) -> FitResult:
    """Fit a law by name; arrays are (rows,).

    y            loss or perplexity. x for `power`, `broken`, `bnsl`; n with d or flops for `chinchilla`, `kaplan`.
    countings, evaluations   FLOPs counting and evaluation id of each row: mixed ones are refused.
    drop_highest_loss        leave out the rows of the K highest losses (unfinished or diverged runs), with a warning.
    None for loss and starts means DEFAULT_LOSS and DEFAULT_STARTS. Other arguments as in the law's own function.
    """
    if form not in FORMS:
        raise FitError(f"unknown form {form!r}: {', '.join(FORMS)}")
    one_of("FLOPs counting", countings)
    one_of("evaluation set", evaluations)
    if not 0 <= drop_highest_loss < len(np.asarray(y)):
        raise FitError(f"cannot drop {drop_highest_loss} of {len(np.asarray(y))} rows")
    kept = np.sort(np.argsort(np.asarray(y, dtype=float), kind="stable")[: len(np.asarray(y)) - drop_highest_loss])
    columns = {"x": x, "y": y, "n": n, "d": d, "flops": flops, "runs": runs, "seeds": seeds}
    at = {name: None if column is None else np.asarray(column)[kept] for name, column in columns.items()}
    shared = {"runs": at["runs"], "seeds": at["seeds"], "bootstrap": bootstrap, "seed": seed}
    shared |= {"loss": loss or DEFAULT_LOSS[form]}
    smooth = {"starts": starts or DEFAULT_STARTS[form], "hold_out_largest": hold_out_largest}
    values = at["y"]
    assert values is not None
    if form in ("chinchilla", "kaplan"):
        if at["n"] is None:
            raise FitError(f"{form} needs the parameters n of every row")
        result = fit_chinchilla(at["n"], values, d=at["d"], flops=at["flops"], form=form, **shared, **smooth)
    elif at["x"] is None:
        raise FitError(f"{form} needs x: FLOPs, parameters or tokens of every row")
    elif form == "power":
        result = fit_power(at["x"], values, irreducible=irreducible, **shared, **smooth)
    elif form == "bnsl":
        result = fit_bnsl(at["x"], values, breaks=breaks, **shared, **smooth)
    else:
        result = fit_broken(at["x"], values, jump=jump, hold_out_largest=hold_out_largest, **shared)
    if drop_highest_loss:
        note = f"the {drop_highest_loss} highest losses were left out"
        result = replace(result, warnings=(*result.warnings, note))
    return result
