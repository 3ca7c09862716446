"""A grid file and the runs it stands for: axes, product / zip / one-factor, exclusions, seeds, budgets."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cost import COUNTINGS, DEFAULT_COUNTING, flops_per_update
from ..errors import ConfigError, PlanError
from .expression import Expression, parse
from .language_spec import CorpusSpec, TokenizerSpec
from .loader import Place, read_section, read_toml, refuse_unknown
from .recipe import PAPER_UNTIED_HEADS, RECIPES
from .refusal import impossible, refuse_contradictions
from .setting import setting
from .spec import POSITION_OFFSET, ModelSpec, TrainSpec

SECTIONS: dict[str, type] = {"corpus": CorpusSpec, "tokenizer": TokenizerSpec, "model": ModelSpec, "train": TrainSpec}
DERIVED = ("vocab_size", "max_positions", "causal")
"""Fields of ModelSpec that no file sets: V is the tokenizer's, P follows from the sequence length, `causal` from the objective."""

BUDGETS = ("updates", "tokens", "flops", "minutes")
SHORT = {
    "embedding_size": "E",
    "hidden_size": "H",
    "intermediate_size": "I",
    "num_heads": "A",
    "num_layers": "L",
    "tokenizer.vocab_size": "V",
    "train.sequence_length": "S",
    "train.batch_size": "B",
    "train.learning_rate": "lr",
    "train.updates": "U",
    "train.tokens": "T",
    "train.flops": "F",
    "train.minutes": "min",
}


@dataclass(frozen=True, kw_only=True)
class GridSettings:
    """The `[grid]` table: how the axes combine."""

    mode: str = setting(
        "product",
        "`product`: every combination; `zip`: the first values together, the second together, ...; `one-factor`: the base "
        "shape, then each axis alone.",
        choices=("product", "zip", "one-factor"),
    )
    seeds: tuple[int, ...] = setting((0,), "Each shape is trained once a seed.")
    exclude: tuple[str, ...] = setting((), "Shapes for which one of these comparisons holds are left out.")


@dataclass(frozen=True, kw_only=True)
class GridPoint:
    """One run of a grid before its corpus is known. `problem` says why it cannot be trained; empty when it can."""

    name: str
    model: ModelSpec
    corpus: CorpusSpec
    tokenizer: TokenizerSpec
    train: TrainSpec
    seed: int
    problem: str


@dataclass(frozen=True, kw_only=True)
class GridSpec:
    """A grid file as read: base tables, axes as lists of overrides, and the text it came from.

    axes: one entry an axis; each value of it is a mapping from dotted keys ("model.hidden_size") to values.
    """

    name: str
    path: Path
    text: str
    recipe: str
    base: dict[str, dict[str, Any]]
    axes: tuple[tuple[dict[str, Any], ...], ...]
    settings: GridSettings

    def points(self) -> list[GridPoint]:
        """Every run of the grid, in the order of the file (last axis fastest, seeds innermost). Exclusions are applied.

        PlanError when nothing is left. Impossible shapes are returned with their `problem`.
        """
        exclusions = [_parsed(text, self._place("grid"), "exclude") for text in self.settings.exclude]
        points: list[GridPoint] = []
        for overrides in self._combinations():
            point = self._point(overrides)
            values = _values(point)
            if any(_holds(e, values, self._place("grid")) for e in exclusions):
                continue
            for seed in self.settings.seeds:
                name = point.name + (f" s{seed}" if len(self.settings.seeds) > 1 else "")
                points.append(dataclasses.replace(point, name=name, seed=seed))
        if not points:
            raise PlanError(f"{self.path}: the exclusions leave no run; loosen [grid] exclude")
        return points

    def _combinations(self) -> Iterator[dict[str, Any]]:
        if not self.axes:
            yield {}
        elif self.settings.mode == "product":
            for combination in itertools.product(*self.axes):
                yield _merged(combination)
        elif self.settings.mode == "zip":
            for combination in zip(*self.axes, strict=True):
                yield _merged(combination)
        else:
            yield {}
            for axis in self.axes:
                for value in axis:
                    if any(self._base_value(key) != v for key, v in value.items()):
                        yield value

    def _base_value(self, key: str) -> Any:
        section, name = key.split(".", 1)
        return self.base[section].get(name, _default(SECTIONS[section], name))

    def _point(self, overrides: Mapping[str, Any]) -> GridPoint:
        tables = {section: dict(table) for section, table in self.base.items()}
        for key, value in overrides.items():
            section, name = key.split(".", 1)
            if section == "train" and name in BUDGETS:
                for budget in BUDGETS:
                    tables["train"].pop(budget, None)
            tables[section][name] = value
        corpus = read_section(CorpusSpec, tables["corpus"], self._place("corpus"))
        tokenizer = read_section(TokenizerSpec, tables["tokenizer"], self._place("tokenizer"))
        budget = {k: tables["train"].pop(k) for k in ("tokens", "flops", "counting") if k in tables["train"]}
        train = read_section(TrainSpec, tables["train"], self._place("train"))
        refuse_contradictions(train, self._place("train"))
        shape = self._shape(tables["model"])
        if self.recipe == "paper" and "fixed_heads" not in shape and shape["tie"] == "none":
            shape["fixed_heads"] = PAPER_UNTIED_HEADS
        shape["vocab_size"] = tokenizer.vocab_size
        shape["max_positions"] = train.sequence_length + POSITION_OFFSET
        shape["causal"] = train.objective == "clm"
        model = read_section(ModelSpec, shape, self._place("model"))
        problem = impossible(model)
        if budget and not problem:
            train = dataclasses.replace(train, updates=self._updates(model, train, budget))
        return GridPoint(
            name=_name(overrides, model),
            model=model,
            corpus=_absolute(corpus, self.path.parent),
            tokenizer=tokenizer,
            train=dataclasses.replace(train, recipe=self.recipe),
            seed=0,
            problem=problem,
        )

    def _shape(self, table: dict[str, Any]) -> dict[str, Any]:
        """The model's table with sizes given as expressions ("4 * hidden_size") worked out."""
        place = self._place("model")
        sizes = {f.name: table.get(f.name, f.default) for f in dataclasses.fields(ModelSpec) if f.name not in DERIVED}
        whole = {f.name for f in dataclasses.fields(ModelSpec) if f.type == "int"}
        plain = {k: v for k, v in sizes.items() if not (k in whole and isinstance(v, str))}
        for key, value in table.items():
            if key in whole and isinstance(value, str):
                result = _holds(_parsed(value, place, key), plain, place)
                if isinstance(result, bool) or not isinstance(result, (int, float)) or result != int(result):
                    raise ConfigError(f"{place.key(key)}: `{value}` is {result}, not a whole number")
                table = {**table, key: int(result)}
        table.setdefault("tie", _default(ModelSpec, "tie"))
        return table

    def _updates(self, model: ModelSpec, train: TrainSpec, budget: Mapping[str, Any]) -> int:
        place = self._place("train")
        counting = budget.get("counting", DEFAULT_COUNTING)
        if counting not in COUNTINGS:
            raise ConfigError(f"{place.key('counting')} must be one of {', '.join(COUNTINGS)}, not {counting!r}")
        key, per_update = (
            ("tokens", train.batch_size * train.sequence_length)
            if "tokens" in budget
            else ("flops", flops_per_update(model, train, counting))
        )
        amount = budget.get(key)
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not amount > 0 or math.isinf(amount):
            raise ConfigError(f"{place.key(key)} must be a positive number, not {amount!r}")
        return max(1, round(amount / per_update))

    def _place(self, section: str) -> Place:
        return Place(self.path, self.text, section)


def load_grid(path: Path) -> GridSpec:
    """Read a grid file strictly. ConfigError names the file, the line, the key and the nearest valid spelling."""
    tables, text = read_toml(path)
    return read_grid(tables, text, path.absolute())


def read_grid(tables: Mapping[str, Any], text: str, path: Path) -> GridSpec:
    """A grid from parsed TOML; `path` gives its default name and the folder that relative sources start from."""
    top = Place(path, text)
    refuse_unknown(tables, ("name", "recipe", *SECTIONS, "axes", "grid"), top, "key or table")
    for section in (*SECTIONS, "axes", "grid"):
        if not isinstance(tables.get(section, {}), dict):
            raise ConfigError(f"{top.key(section)} must be a table: write [{section}]")
    name = tables.get("name", path.stem)
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"{top.key('name')} must be text in quotes")
    recipe = _recipe(tables, top)
    base: dict[str, dict[str, Any]] = {}
    for section, cls in SECTIONS.items():
        table = dict(tables.get(section, {}))
        refuse_unknown(table, known_keys(section, cls), Place(path, text, section))
        base[section] = {**RECIPES[recipe].get(section, {}), **table}
    named = [b for b in BUDGETS if b in tables.get("train", {})]
    if len(named) > 1:
        place = Place(path, text, "train")
        raise ConfigError(f"{place.key(named[1])}: give one budget, not {' and '.join(named)}")
    if named and named[0] != "updates":
        base["train"].pop("updates", None)
    settings = read_section(GridSettings, tables.get("grid", {}), Place(path, text, "grid"))
    if not settings.seeds or len(set(settings.seeds)) != len(settings.seeds):
        raise ConfigError(f"{Place(path, text, 'grid').key('seeds')} must name at least one seed, each once")
    grid = GridSpec(
        name=name.strip(),
        path=path,
        text=text,
        recipe=recipe,
        base=base,
        axes=tuple(_axis(key, values, Place(path, text, "axes")) for key, values in tables.get("axes", {}).items()),
        settings=settings,
    )
    lengths = {len(axis) for axis in grid.axes}
    if settings.mode == "zip" and len(lengths) > 1:
        raise ConfigError(f'{path}: [grid] mode = "zip" needs axes of equal length, not {sorted(lengths)}')
    return grid


def _recipe(tables: Mapping[str, Any], top: Place) -> str:
    """The file's recipe, named at its top or in [train]; two different ones are refused, neither wins."""
    train = Place(top.path, top.text, "train")
    named = [(t["recipe"], at) for t, at in ((tables, top), (tables.get("train", {}), train)) if "recipe" in t]
    for recipe, at in named:
        if recipe not in RECIPES:
            raise ConfigError(f"{at.key('recipe')} must be one of {', '.join(RECIPES)}, not {recipe!r}")
    if len({recipe for recipe, _ in named}) > 1:
        raise ConfigError(
            f"{train.key('recipe')}: {named[1][0]!r} here and {named[0][0]!r} at the top of the file; name one recipe"
        )
    return named[0][0] if named else "default"


def known_keys(section: str, cls: type) -> list[str]:
    """The keys a file may set in a section."""
    keys = [f.name for f in dataclasses.fields(cls) if not (section == "model" and f.name in DERIVED)]
    return keys + ["tokens", "flops", "counting"] if section == "train" else keys


def full_key(key: str, place: Place) -> str:
    """`hidden_size` -> `model.hidden_size`; ConfigError for a key that no section has."""
    section, _, name = key.rpartition(".")
    section = section or "model"
    if section not in SECTIONS:
        raise ConfigError(f"{place.key(key)}: unknown section `{section}`; one of {', '.join(SECTIONS)}")
    valid = known_keys(section, SECTIONS[section])
    if name not in valid and section == "model":
        for other, cls in SECTIONS.items():
            if key == name and name in known_keys(other, cls):
                raise ConfigError(f"{place.key(key)}: write it with its section, `{other}.{name}`")
    refuse_unknown({name: None}, valid, place)
    if (section, name) == ("train", "recipe"):
        raise ConfigError(
            f"{place.key(key)}: a recipe fills in what the file leaves open, so it cannot be an axis; write one grid file a "
            "recipe, or make the settings it stands for the axes"
        )
    return f"{section}.{name}"


def _axis(key: str, values: Any, place: Place) -> tuple[dict[str, Any], ...]:
    """One axis. A list of plain values varies `key`; a list of tables varies several keys together and `key` is a label.

    TOML reads an unquoted `train.learning_rate = [...]` as a table in a table; that is understood too.
    """
    if isinstance(values, dict):
        if len(values) != 1:
            raise ConfigError(
                f'{place.key(key)}: write dotted axes in quotes, "{key}.{next(iter(values), "...")}" = [...]'
            )
        inner, listed = next(iter(values.items()))
        return _axis(f"{key}.{inner}", listed, place)
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{place.key(key)} must be a list of values")
    if all(isinstance(v, dict) for v in values):
        return tuple({full_key(k, place): v for k, v in _flat(value)} for value in values)
    full = full_key(key, place)
    if any(values.count(v) > 1 for v in values):
        raise ConfigError(f"{place.key(key)} names a value twice")
    return tuple({full: value} for value in values)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _merged(parts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        if both := merged.keys() & part.keys():
            raise ConfigError(f"two axes set `{min(both)}`")
        merged.update(part)
    return merged


def _values(point: GridPoint) -> dict[str, Any]:
    """Names that an exclusion can use: the model's keys bare, the others dotted."""
    values = dict(dataclasses.asdict(point.model))
    for section in ("corpus", "tokenizer", "train", "model"):
        values |= {f"{section}.{k}": v for k, v in dataclasses.asdict(getattr(point, section)).items()}
    return values


def _parsed(text: str, place: Place, key: str) -> Expression:
    try:
        return parse(text)
    except ConfigError as problem:
        raise ConfigError(f"{place.key(key)}: {problem}") from None


def _holds(expression: Expression, values: Mapping[str, Any], place: Place) -> Any:
    try:
        return expression(values)
    except ConfigError as problem:
        raise ConfigError(f"{place.path}: [{place.section}]: {problem}") from None


def _name(overrides: Mapping[str, Any], model: ModelSpec) -> str:
    """What people call the run: what the axes set, or its five dimensions when they set nothing."""
    if not overrides:
        return " ".join(f"{s}{getattr(model, k)}" for k, s in SHORT.items() if hasattr(model, k))
    parts = []
    for key, value in overrides.items():
        bare = key.removeprefix("model.")
        if bare in SHORT:
            shown = getattr(model, bare, value)
            parts.append(
                f"{SHORT[bare]}{shown:g}".replace("e+", "e") if isinstance(shown, float) else f"{SHORT[bare]}{shown}"
            )
        else:
            shown = Path(value).stem if key == "corpus.vocabulary" and "/" in str(value) else value
            parts.append(f"{bare.split('.')[-1]}={shown}")
    return " ".join(parts) or _name({}, model)


def _default(cls: type, name: str) -> Any:
    return next((f.default for f in dataclasses.fields(cls) if f.name == name), None)


def _absolute(corpus: CorpusSpec, folder: Path) -> CorpusSpec:
    """Relative files start from the grid file's folder, so that a run means the same from everywhere."""

    def resolved(text: str) -> str:
        return str(folder / Path(text).expanduser())

    named = ("embedded:", "hub:")
    listed = ("top:", "wordfreq:")
    return dataclasses.replace(
        corpus,
        sources=tuple(s if s.startswith(named) else resolved(s) for s in corpus.sources),
        vocabulary=corpus.vocabulary if corpus.vocabulary.startswith(listed) else resolved(corpus.vocabulary),
        evaluation_from=resolved(corpus.evaluation_from)
        if corpus.evaluation_from.endswith(".toml")
        else corpus.evaluation_from,
    )
