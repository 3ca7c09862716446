"""A small language of comparisons and arithmetic for exclusions, filters and derived sizes. Never `eval`.

    hidden_size < embedding_size / 4
    4 * hidden_size
    train.learning_rate >= 1e-3 and not tie == "full"

Precedence from weak to strong: `or`, `and`, `not`, comparisons (`== != < <= > >=`, one a term), `+ -`, `* / // %`, unary
minus. Operands: numbers, quoted strings, `true`, `false`, names (dotted allowed), parentheses.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<string>"[^"]*"|'[^']*')
    |(?P<name>[A-Za-z_][A-Za-z0-9_.]*)
    |(?P<op>==|!=|<=|>=|//|[-+*/%<>()]))""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}

Node = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Expression:
    """A parsed expression; call it with the values of its names."""

    text: str
    names: frozenset[str]
    _evaluate: Node

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """The value of the expression. ConfigError for an unknown name, a division by zero or unlike operands."""
        for name in self.names:
            if name not in values:
                near = difflib.get_close_matches(name, list(values), n=1)
                hint = f"; did you mean `{near[0]}`?" if near else ""
                raise ConfigError(f"unknown name `{name}` in `{self.text}`{hint}")
        try:
            return self._evaluate(values)
        except ZeroDivisionError:
            raise ConfigError(f"division by zero in `{self.text}`") from None
        except TypeError as problem:
            raise ConfigError(f"`{self.text}` mixes numbers and text: {problem}") from None


def parse(text: str) -> Expression:
    """Parse an expression. ConfigError names the place where it stops making sense."""
    parser = _Parser(text)
    node = parser.disjunction()
    if parser.peek() is not None:
        raise parser.problem("expected an operator or the end")
    return Expression(text=text, names=frozenset(parser.names), _evaluate=node)


class _Parser:
    """Recursive descent: one method a level of precedence, each returning a function of the values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        self.at = 0
        self.names: set[str] = set()
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise ConfigError(f"cannot read `{text}` at `{text[position:].strip()}`")
            self.tokens.append((match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
            position = match.end()

    def peek(self) -> str | None:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else None

    def take(self, *wanted: str) -> str | None:
        if self.at < len(self.tokens) and self.tokens[self.at][0] != "string" and self.peek() in wanted:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def problem(self, what: str) -> ConfigError:
        rest = self.text[self.tokens[self.at][2] :] if self.at < len(self.tokens) else "the end"
        return ConfigError(f"cannot read `{self.text}`: {what} at `{rest}`")

    def disjunction(self) -> Node:
        node = self.conjunction()
        while self.take("or"):
            node = _either(node, self.conjunction())
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while self.take("and"):
            node = _both(node, self.negation())
        return node

    def negation(self) -> Node:
        if self.take("not"):
            inner = self.negation()
            return lambda values: not inner(values)
        return self.comparison()

    def comparison(self) -> Node:
        left = self.sum()
        op = self.take(*_COMPARE)
        if op is None:
            return left
        return _binary(_COMPARE[op], left, self.sum())

    def sum(self) -> Node:
        node = self.product()
        while op := self.take("+", "-"):
            node = _binary(_ARITHMETIC[op], node, self.product())
        return node

    def product(self) -> Node:
        node = self.unary()
        while op := self.take("*", "/", "//", "%"):
            node = _binary(_ARITHMETIC[op], node, self.unary())
        return node

    def unary(self) -> Node:
        if self.take("-"):
            inner = self.unary()
            return lambda values: -inner(values)
        return self.atom()

    def atom(self) -> Node:
        if self.take("("):
            node = self.disjunction()
            if not self.take(")"):
                raise self.problem("a parenthesis is not closed")
            return node
        if self.at >= len(self.tokens):
            raise self.problem("something is missing")
        kind, word, _ = self.tokens[self.at]
        if kind == "op" or (kind == "name" and word in ("and", "or", "not")):
            raise self.problem("expected a number, a name or a parenthesis")
        self.at += 1
        if kind == "number":
            value: Any = float(word) if any(c in word for c in ".eE") else int(word)
            return lambda values: value
        if kind == "string":
            return lambda values: word[1:-1]
        if word in ("true", "false"):
            return lambda values: word == "true"
        self.names.add(word)
        return lambda values: values[word]


def _binary(function: Callable[[Any, Any], Any], left: Node, right: Node) -> Node:
    return lambda values: function(left(values), right(values))


def _either(left: Node, right: Node) -> Node:
    return lambda values: bool(left(values)) or bool(right(values))


def _both(left: Node, right: Node) -> Node:
    return lambda values: bool(left(values)) and bool(right(values))
