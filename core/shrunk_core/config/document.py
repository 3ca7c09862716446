"""A grid file as something to edit: every key with its meaning, values typed as people type them, written back strictly.

A setting with one value is that value; given several values separated by commas it becomes an axis. What is edited here
is read back by `grid.read_grid`, so that a document says no more and no less than its file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ..cost import COUNTINGS
from ..errors import ConfigError
from .grid import BUDGETS, SECTIONS, GridSettings, GridSpec, known_keys, read_grid
from .loader import read_toml
from .recipe import RECIPES
from .toml_text import read_comments, shown, write_toml

NEW = """\
name = "{name}"

[corpus]
sources = ["embedded:kjv"]
vocabulary = "top:3000"
unit = "sentence"
min_words = 6

[tokenizer]
vocab_size = 2000

[model]
embedding_size = 64
hidden_size = 64
intermediate_size = "4 * hidden_size"
num_heads = 4
num_layers = 1
tie = "projected"
norm = "pre"

[train]
updates = 2500
batch_size = 32
sequence_length = 16
learning_rate = 3e-3
init = "scaled"

[grid]
mode = "product"
seeds = [0]
"""
"""A new grid: the demo's recipe, which learns within a minute a run."""

TEXT, WHOLE, NUMBER, SWITCH, TEXTS, WHOLES = "text", "whole", "number", "switch", "texts", "wholes"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One key that a grid file may set. key: dotted ("model.hidden_size"; "name" and "recipe" have no section).

    kind: how its text is read; default: the value when the file is silent, None when it must be named.
    """

    key: str
    kind: str
    default: Any
    doc: str
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.key.rpartition(".")[2]

    @property
    def can_vary(self) -> bool:
        """True if it may be an axis."""
        return self.section in SECTIONS and self.key != "train.recipe"


def settings() -> dict[str, Setting]:
    """Every key of a grid file by its dotted name, in the order of a file."""
    found = [
        Setting(key="name", kind=TEXT, default=None, doc="What the grid is called."),
        Setting(
            key="recipe", kind=TEXT, default="default", doc="Named set of defaults for the keys that the file leaves open.",
            choices=tuple(RECIPES),
        ),
    ]  # fmt: skip
    for section, cls in {**SECTIONS, "grid": GridSettings}.items():
        hints = get_type_hints(cls)
        fields = {f.name: f for f in dataclasses.fields(cls)}
        for name in known_keys(section, cls) if section in SECTIONS else fields:
            if name in fields:
                f = fields[name]
                default = None if f.default is dataclasses.MISSING else f.default
                found.append(
                    Setting(
                        key=f"{section}.{name}", kind=_kind(hints[name]), default=default, doc=f.metadata["doc"],
                        unit=f.metadata["unit"], choices=f.metadata["choices"],
                    )
                )  # fmt: skip
    budgets = {
        "tokens": "The budget in training tokens instead of updates.",
        "flops": "The budget in FLOPs of one run instead of updates.",
    }
    found += [Setting(key=f"train.{k}", kind=NUMBER, default=None, doc=doc, unit=k) for k, doc in budgets.items()]
    doc = "Which FLOPs a budget in FLOPs means."
    found.append(Setting(key="train.counting", kind=TEXT, default=COUNTINGS[0], doc=doc, choices=COUNTINGS))
    return {s.key: s for s in found if s.key != "train.recipe"}


def _kind(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return WHOLES if get_args(hint)[0] is int else TEXTS
    named = {bool: SWITCH, int: WHOLE, float: NUMBER, str: TEXT}
    return named[next((a for a in get_args(hint) if a is not type(None)), hint)]


@dataclass(frozen=True, kw_only=True)
class GridDocument:
    """The tables of a grid file, where it lies (or will), and the text it was read from, for its comments.

    Never changed: every edit returns a new document, so that an undo is a list of documents.
    """

    tables: Mapping[str, Any]
    path: Path
    source: str = ""

    # ------------------------------------------------------------------ reading

    @property
    def name(self) -> str:
        return str(self.tables.get("name", self.path.stem))

    def value(self, key: str) -> Any:
        """What the file says of a key, None where it is silent."""
        section, _, name = key.rpartition(".")
        return (self.tables.get(section, {}) if section else self.tables).get(name)

    def axis(self, key: str) -> list[Any] | None:
        """The values of the axis on this key, None without one."""
        found = self.axes().get(key)
        return None if found is None else list(found)

    def axes(self) -> dict[str, list[Any]]:
        """Axes by their dotted key; of coupled ones (values are tables) by their label."""
        return {_full(k, v): v for k, v in self.tables.get("axes", {}).items()}

    def text(self) -> str:
        """The file's text: strict TOML, with the comments of the file that it came from."""
        return write_toml(self.tables, read_comments(self.source) if self.source else None)

    def grid(self) -> GridSpec:
        """The grid that the file stands for. ConfigError naming line and key when it is none."""
        return read_grid(self.tables, self.text(), self.path)

    # ------------------------------------------------------------------ editing

    def with_value(self, key: str, value: Any) -> GridDocument:
        """One value for a key; None takes it out of the file. An axis on the key goes; so do the other budgets."""
        section, _, name = key.rpartition(".")
        if not section:
            return self._with({**self.tables, name: value} if value is not None else _without(self.tables, name))
        table = {k: v for k, v in self.tables.get(section, {}).items() if k != name or value is not None}
        if value is not None:
            table[name] = value
            if section == "train" and name in BUDGETS:
                table = {k: v for k, v in table.items() if k == name or k not in BUDGETS}
        return self._with({**self.tables, section: table})._without_axis(key)

    def with_axis(self, key: str, values: list[Any]) -> GridDocument:
        """An axis: values of a key by its dotted name, or tables of coupled values under a free label."""
        axes = {k: v for k, v in self.tables.get("axes", {}).items() if _full(k, v) != key}
        return self._with({**self.tables, "axes": {**axes, _written(key): values}})

    def without(self, key: str) -> GridDocument:
        """The key as it was before it was named: the axis goes first, then the value."""
        return self._without_axis(key) if self.axis(key) is not None else self.with_value(key, None)

    def typed(self, key: str, text: str) -> GridDocument:
        """What a person typed for a key: one value, several with commas for an axis, nothing for the default.

        ConfigError when the text is no value of the key's kind; whether the grid makes sense is for `grid()` to say.
        """
        setting = settings().get(key)
        if setting is None:
            raise ConfigError(f"there is no setting `{key}`")
        if not text.strip():
            return self.without(key)
        if setting.kind in (TEXTS, WHOLES):
            return self.with_value(key, [_value(setting, t) for t in _parts(text, setting)])
        parts = _parts(text, setting)
        if len(parts) == 1:
            return self.with_value(key, _value(setting, parts[0]))
        if not setting.can_vary:
            raise ConfigError(f"{key} takes one value and cannot be an axis")
        return self.with_axis(key, [_value(setting, p) for p in parts])

    def moved(self, path: Path) -> GridDocument:
        """The same grid at another place: relative sources are made absolute when the folder changes."""
        if path.parent == self.path.parent:
            return dataclasses.replace(self, path=path)
        tables = {**self.tables}
        if corpus := tables.get("corpus"):
            place = self.path.parent
            sources = [s if ":" in s else str((place / s).resolve()) for s in corpus.get("sources", [])]
            words = corpus.get("vocabulary", "")
            file = {} if not words or ":" in words else {"vocabulary": str((place / words).resolve())}
            tables["corpus"] = {**corpus, "sources": sources, **file}
        return dataclasses.replace(self, tables=tables, path=path)

    def _without_axis(self, key: str) -> GridDocument:
        axes = {k: v for k, v in self.tables.get("axes", {}).items() if _full(k, v) != key}
        return self._with({**self.tables, "axes": axes} if axes else _without(self.tables, "axes"))

    def _with(self, tables: Mapping[str, Any]) -> GridDocument:
        order = ["name", "recipe", *SECTIONS, "axes", "grid"]
        ordered = {k: tables[k] for k in order if k in tables}
        return dataclasses.replace(self, tables={**ordered, **{k: v for k, v in tables.items() if k not in ordered}})


def new_document(path: Path) -> GridDocument:
    """A grid to begin with; `path` need not exist and gives the name."""
    text = NEW.format(name=path.stem)
    return parse_document(text, path)


def open_document(path: Path) -> GridDocument:
    """A grid file to edit. ConfigError when it is not TOML; a grid that makes no sense can be opened and mended."""
    tables, text = read_toml(path)
    return GridDocument(tables=_flat_axes(tables), path=path.absolute(), source=text)


def parse_document(text: str, path: Path) -> GridDocument:
    """A document from text, such as a submitted grid's."""
    import tomllib

    return GridDocument(tables=_flat_axes(tomllib.loads(text)), path=path.absolute(), source=text)


def as_typed(setting: Setting, value: Any) -> str:
    """A value, or the values of an axis, as a person would type them."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(as_typed(setting, v) for v in value)
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else shown(value)


def _parts(text: str, setting: Setting) -> list[str]:
    parts = [p.strip() for p in (text.split(",") if setting.key != "name" else [text])]
    if any(not p for p in parts):
        raise ConfigError("a value is missing beside a comma")
    return parts


def _value(setting: Setting, text: str) -> Any:
    """One value of the setting's kind. A product such as `4 * hidden_size` stays text where a whole number is wanted."""
    where = setting.name
    if setting.kind == SWITCH:
        if text.lower() not in ("true", "false", "yes", "no"):
            raise ConfigError(f"{where} is true or false, not {text}")
        return text.lower() in ("true", "yes")
    if setting.kind in (TEXT, TEXTS):
        if setting.choices and text not in setting.choices:
            raise ConfigError(f"{where} is one of {', '.join(setting.choices)}, not {text}")
        return text
    bare = text.replace("_", "").replace(" ", "")
    try:
        return int(bare)
    except ValueError:
        pass
    try:
        number = float(bare)
    except ValueError:
        if setting.kind == WHOLE and setting.section == "model":
            return text
        wanted = "a number" if setting.kind == NUMBER else "a whole number"
        raise ConfigError(f"{where} is {wanted}, not {text}") from None
    if setting.kind != NUMBER:
        if number != int(number):
            raise ConfigError(f"{where} is a whole number, not {text}")
        return int(number)
    return number


def _flat_axes(tables: Mapping[str, Any]) -> dict[str, Any]:
    """An unquoted `train.learning_rate = [...]` is a table in a table to TOML; here it is one dotted key."""
    axes = tables.get("axes")
    if not isinstance(axes, dict):
        return dict(tables)
    flat: dict[str, Any] = {}
    for key, value in axes.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": listed for inner, listed in value.items()}
        else:
            flat[key] = value
    return {**tables, "axes": flat}


def _full(key: str, values: Any) -> str:
    """`hidden_size` -> `model.hidden_size`; the label of coupled values stays."""
    coupled = isinstance(values, list) and bool(values) and all(isinstance(v, dict) for v in values)
    return key if coupled or "." in key else f"model.{key}"


def _written(key: str) -> str:
    return key.removeprefix("model.")


def _without(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in table.items() if k != name}
