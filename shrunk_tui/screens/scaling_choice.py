"""What the Scaling screen is asked to show: every choice that a key makes, kept between visits."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

VIEWS = ("law", "frontier", "ladders", "correlations")
FORMS = ("power", "power + E", "broken", "kink", "chinchilla", "kaplan", "bnsl")
AXES = ("flops", "params", "tokens")
COUNTINGS = ("paper", "hoffmann", "kaplan", "executed")
POINTS = ("final", "paper", "envelope", "none")
METHODS = ("envelope", "paper", "final", "isoflop")
COSTS = ("flops", "params", "seconds", "gpu-hours", "energy")
PRICINGS = ("ladder", "dominance")
RESIDUALS = ("beside", "alone", "none")
"""Of the residuals: in a panel below the law where there is room, in the place of the law, or not at all."""

NAMES = {"final": "final points", "paper": "frontier in bins", "envelope": "lower envelope", "none": "all evaluations"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One state of the screen. where: an expression, "" for all runs; effect: perplexity or a task; evaluation_id: ""
    takes the set with the most runs; group: the column that colours the points, "" by itself; reference: "" for none."""

    view: str = "law"
    form: str = "power"
    x: str = "flops"
    counting: str = "paper"
    points: str = "final"
    where: str = ""
    group: str = ""
    residuals: str = "beside"
    reference: str = ""
    evaluation_id: str = ""
    method: str = "envelope"
    cost: str = "flops"
    pricing: str = "ladder"
    effect: str = "perplexity"

    @classmethod
    def read(cls, saved: dict[str, Any]) -> Choice:
        """From saved values; what is of another type or unknown keeps its default."""
        found = {f.name: saved[f.name] for f in fields(cls) if isinstance(saved.get(f.name), type(f.default))}
        for name, known in _KNOWN.items():
            if found.get(name) not in known:
                found.pop(name, None)
        return cls(**found)

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    def stepped(self, name: str, values: tuple[str, ...], by: int = 1) -> Choice:
        """The next value of a choice, around the corner."""
        now = getattr(self, name)
        at = values.index(now) if now in values else -1
        return replace(self, **{name: values[(at + by) % len(values)]})

    def headless(self) -> str:
        """The command that shows the same."""
        if self.view == "frontier":
            words = ["frontier", "--method", self.method]
        elif self.view == "ladders":
            words = ["icer", "--method", self.pricing, "--cost", self.cost, "--effect", self.effect]
        elif self.view == "correlations":
            words = ["correlate"]
        else:
            form, extra = {"power + E": ("power", ["--irreducible"]), "kink": ("broken", ["--kink"])}.get(
                self.form, (self.form, [])
            )
            joint = form in ("chinchilla", "kaplan")
            words = ["fit", form, *extra, *([] if joint or self.x == "flops" else ["--x", self.x])]
            words += ["--frontier", self.points] if self.points != "final" else []
        words += ["--counting", self.counting] if self.view != "correlations" and self.counting != "paper" else []
        words += ["--where", f"'{self.where}'"] if self.where else []
        words += ["--evaluation-id", self.evaluation_id] if self.evaluation_id else []
        return " ".join(["shrunk", *words])


_KNOWN: dict[str, tuple[str, ...]] = {
    "view": VIEWS,
    "form": FORMS,
    "x": AXES,
    "counting": COUNTINGS,
    "points": POINTS,
    "method": METHODS,
    "cost": COSTS,
    "pricing": PRICINGS,
    "residuals": RESIDUALS,
}
