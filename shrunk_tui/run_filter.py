"""The filter bar's small language: what a person types to a test of a run's values.

    hidden_size>=64 and status:running      comparisons and `name:pattern`, joined by and, or, not, parentheses
    width* best                             words and globs: in the name, grid, id, status, shape or a tag
    #best -status:failed                    a tag; a minus in front is `not`
    hidden_size < embedding_size / 4        with spaces, and with arithmetic as in `[grid] exclude`

Words that stand beside each other must all hold.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Any

from shrunk_core.config.expression import parse
from shrunk_core.errors import ConfigError

Values = Mapping[str, Any]
Test = Callable[[Values], bool]

ALIASES = {
    "params": "num_params", "layers": "num_layers", "heads": "num_heads", "ppl": "perplexity", "id": "run_id",
    "tag": "tags", "speed": "tokens_per_second", "lr": "learning_rate", "left": "seconds_left",
}  # fmt: skip
SEARCHED = ("name", "grid", "run_id", "status", "shape", "tags")

_TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])
    |(?P<compare>[A-Za-z_][\w.]*\s*(?:>=|<=|!=|==|=|<|>|:)\s*(?:"[^"]*"|'[^']*'|[^\s()]+(?:\s*[-+*/]\s*[\w.]+)*))
    |(?P<word>"[^"]*"|'[^']*'|[^\s()]+))""",
    re.VERBOSE,
)
_COMPARE = re.compile(r"([A-Za-z_][\w.]*)\s*(>=|<=|!=|==|=|<|>|:)\s*(.*)", re.DOTALL)
_SUFFIX = {"k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "%": 0.01}


def parse_filter(text: str, names: Mapping[str, Any] | None = None) -> Test:
    """The test that a text means; everything passes an empty one.

    names: values of some run, to know which names there are (an unknown one is a ConfigError with the nearest); None
    takes names on trust.
    """
    tokens: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        assert match is not None and match.lastgroup is not None  # the last alternative takes anything
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    if not tokens:
        return lambda values: True
    parser = _Parser(tokens, names)
    test = parser.either()
    if parser.at < len(tokens):
        raise ConfigError(f"cannot read the filter at `{tokens[parser.at][1]}`")
    return test


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], names: Mapping[str, Any] | None) -> None:
        self.tokens, self.names, self.at = tokens, names, 0

    def peek(self) -> str | None:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else None

    def take(self, word: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at][1].lower() == word:
            self.at += 1
            return True
        return False

    def either(self) -> Test:
        tests = [self.both()]
        while self.take("or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda values: any(t(values) for t in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self.peek() is not None and self.peek() not in (")", "or"):
            self.take("and")
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda values: all(t(values) for t in tests)

    def one(self) -> Test:
        if self.take("not"):
            inner = self.one()
            return lambda values: not inner(values)
        if self.take("("):
            inner = self.either()
            if not self.take(")"):
                raise ConfigError("a parenthesis of the filter is not closed")
            return inner
        if self.at >= len(self.tokens):
            raise ConfigError("the filter ends where something is missing")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "paren":
            raise ConfigError("a parenthesis of the filter closes nothing")
        if kind == "compare":
            return self.comparison(text)
        if text.startswith("-") and len(text) > 1:
            inner = _Parser([(("compare" if _COMPARE.fullmatch(text[1:]) else "word"), text[1:])], self.names).one()
            return lambda values: not inner(values)
        if text.startswith("#"):
            return _tagged(text[1:])
        return _mentioned(text.strip("\"'"))

    def comparison(self, text: str) -> Test:
        match = _COMPARE.fullmatch(text)
        assert match is not None
        name, op, wanted = match[1], match[2], match[3].strip()
        name = self.known(ALIASES.get(name, name))
        if name == "tags" and op in (":", "=", "=="):
            return _tagged(wanted.strip("\"'"))
        value = _number(wanted)
        if value is None and op in ("<", "<=", ">", ">=") or re.search(r"[\w)]\s*[-+*/]\s*[\w(]", wanted) and op != ":":
            expression = parse(f"{name} {'==' if op == '=' else op} {wanted}")
            for other in expression.names:
                self.known(other)
            return lambda values: _holds(expression, values)
        if op == ":" or value is None or not _numeric(self.names, name):
            pattern = wanted.strip("\"'").lower()
            same = _like(name, pattern)
            return (lambda values: not same(values)) if op == "!=" else same
        return _numbers(name, op, value)

    def known(self, name: str) -> str:
        if self.names is not None and name not in self.names:
            near = difflib.get_close_matches(name, list(self.names), n=1)
            raise ConfigError(f"no setting or result `{name}`" + (f"; did you mean `{near[0]}`?" if near else ""))
        return name


def _number(text: str) -> float | None:
    scale = _SUFFIX.get(text[-1:], None)
    try:
        return float(text[:-1]) * scale if scale else float(text)
    except ValueError:
        return None


def _numeric(names: Mapping[str, Any] | None, name: str) -> bool:
    return names is None or not isinstance(names.get(name), str)


def _numbers(name: str, op: str, wanted: float) -> Test:
    def test(values: Values) -> bool:
        value = values.get(name)
        if not isinstance(value, (int, float)):
            return False
        return {"<": value < wanted, "<=": value <= wanted, ">": value > wanted, ">=": value >= wanted,
                "!=": value != wanted}.get(op, value == wanted)  # fmt: skip

    return test


def _holds(expression: Any, values: Values) -> bool:
    try:
        return bool(expression(values))
    except (ConfigError, TypeError):  # a value that this run does not have yet: not what was asked for
        return False


def _like(name: str, pattern: str) -> Test:
    def test(values: Values) -> bool:
        value = values.get(name)
        text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        return fnmatch.fnmatchcase(text.lower(), pattern)

    return test


def _tagged(pattern: str) -> Test:
    return lambda values: any(fnmatch.fnmatchcase(t.lower(), pattern.lower()) for t in str(values["tags"]).split())


def _mentioned(word: str) -> Test:
    low = word.lower()
    glob = any(c in low for c in "*?[")

    def test(values: Values) -> bool:
        texts = [str(values.get(n) or "").lower() for n in SEARCHED]
        return any(fnmatch.fnmatchcase(t, low) if glob else low in t for t in texts)

    return test
