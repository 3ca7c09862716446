"""What an update computes between its products, as loops that read and write each number once, compiled by numba.

torch goes over the numbers once an operation: exponentials, then their sums, then the mask of dropout. `fused` says where
these loops are used instead. They compute in fp32 what torch computes, to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types

from ..language.compiled import compiled

F, INT = np.float32, np.int32

BLOCK = 256
"""Partial sums of a row of logits: each has few terms, so that rounding stays small, and none waits for another."""

# 2^f for f in [-.5, .5], least squares of the relative error, which is within 3e-9
P1, P2, P3, P4, P5, P6 = (F(p) for p in (0.6931472, 0.24022646, 0.05550329, 0.00961852, 0.001339986, 0.00015337577))
ROUNDER = F(1.5 * 2**23)
"""A small float added to it leaves the nearest whole number in the low bits."""
LOWEST, HIGHEST = F(-127), F(128)
"""Exponents whose powers of two become 0 and infinity."""
LOG2_E, HALF_LOG2_E = F(math.log2(math.e)), F(math.log2(math.e) / 2)

# 1 - Phi(|x|) within 1e-7: Abramowitz and Stegun, 7.1.26, at |x| / sqrt(2), halved
A0 = F(0.3275911 / math.sqrt(2))
A1, A2, A3, A4, A5 = (F(a / 2) for a in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))
DENSITY = F(1 / math.sqrt(2 * math.pi))

OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}
"""Products and sums in one instruction; else IEEE, so that what is not a number stays so."""
ANY_ORDER: dict[str, Any] = {"fastmath": {"contract", "reassoc", "nsz"}, "error_model": "numpy"}
"""For sums of rows, which become vectors only where another order of addition is allowed. Fixed once compiled."""
LARGEST: dict[str, Any] = {"fastmath": {"reassoc", "nsz", "nnan"}, "error_model": "numpy"}
"""For the maximum of a row, which is only taken off: where a score is not a number, the whole row becomes none."""

FLOATS, ROWS, BATCHES = (types.Array(types.float32, n, "C") for n in (1, 2, 3))
PLACES = types.Array(types.int64, 1, "C")
BITS, BITS_NSS = (types.Array(types.int16, n, "C") for n in (1, 3))


@njit(**OPTIONS)
def power(x):
    """2^x, to 1.5 units in the last place; 0 below 2^-127."""
    x = HIGHEST if HIGHEST < x else x
    x = LOWEST if LOWEST > x else x
    whole = x + ROUNDER
    f = x - (whole - ROUNDER)
    y = (((((P6 * f + P5) * f + P4) * f + P3) * f + P2) * f + P1) * f + F(1)
    scale = INT(INT(F(whole).view(np.int32) + INT(127)) << INT(23))
    return y * INT(scale).view(np.float32)


@njit(**ANY_ORDER)
def total_of(row):
    """Sum of a short row."""
    total = F(0)
    for j in range(len(row)):
        total += row[j]
    return total


@njit(**ANY_ORDER)
def product_of(left, right):
    """Inner product of two short rows."""
    total = F(0)
    for j in range(len(left)):
        total += left[j] * right[j]
    return total


@njit(**LARGEST)
def largest_of(row):
    """Maximum of a row."""
    top = row[0]
    for j in range(len(row)):
        top = row[j] if row[j] > top else top
    return top


@compiled(ROWS, PLACES, FLOATS, FLOATS, **OPTIONS)
def numerators(logits_MV, targets_M, sums_M, chosen_M):
    """Each logit becomes 2^logit, in place; with the sum of a row and what is at its target."""
    rows, columns = logits_MV.shape
    partial = np.empty(BLOCK, np.float32)
    whole = columns // BLOCK * BLOCK
    for i in range(rows):
        row = logits_MV[i]
        partial[:] = F(0)
        for start in range(0, whole, BLOCK):
            part = row[start : start + BLOCK]
            for j in range(BLOCK):
                y = power(part[j])
                part[j] = y
                partial[j] += y
        total = 0.0
        for j in range(whole, columns):
            y = power(row[j])
            row[j] = y
            total += y
        for j in range(BLOCK):
            total += partial[j]
        sums_M[i] = total
        chosen_M[i] = row[targets_M[i]]


@compiled(FLOATS, FLOATS, FLOATS, **OPTIONS)
def gelu(x, y, slopes):
    """y = x Phi(x), and its derivative."""
    for i in range(len(x)):
        v = x[i]
        t = F(1) / (F(1) + A0 * abs(v))
        e = power(-(v * v) * HALF_LOG2_E)
        tail = ((((A5 * t + A4) * t + A3) * t + A2) * t + A1) * t * e
        phi = tail if v < F(0) else F(1) - tail
        y[i] = v * phi
        slopes[i] = phi + v * e * DENSITY


@compiled(FLOATS, BITS, types.int64, types.float32, FLOATS, **OPTIONS)
def dropped(x, bits, least, factor, y):
    """y = factor x where the bits are at least `least`, else 0."""
    for i in range(len(x)):
        y[i] = x[i] * factor if bits[i] >= least else F(0)


@compiled(BATCHES, BITS_NSS, types.int64, BATCHES, **OPTIONS)
def dropped_softmax(scores_NSS, bits_NSS, least, dropped_NSS):
    """Scores become probabilities, in place; dropped: the probabilities whose bits are at least `least`, else 0."""
    many, rows, columns = scores_NSS.shape
    for n in range(many):
        for i in range(rows):
            row, bits, kept = scores_NSS[n, i], bits_NSS[n, i], dropped_NSS[n, i]
            top = largest_of(row)
            for j in range(columns):
                row[j] = power((row[j] - top) * LOG2_E)
            share = F(1) / total_of(row)
            for j in range(columns):
                y = row[j] * share
                row[j] = y
                kept[j] = y if bits[j] >= least else F(0)


@compiled(BATCHES, BITS_NSS, types.int64, BATCHES, **OPTIONS)
def dropped_softmax_backward(gradient_NSS, bits_NSS, least, probabilities_NSS):
    """The gradient of `dropped` becomes that of the scores, in place."""
    many, rows, columns = gradient_NSS.shape
    for n in range(many):
        for i in range(rows):
            g, p, bits = gradient_NSS[n, i], probabilities_NSS[n, i], bits_NSS[n, i]
            for j in range(columns):
                g[j] = g[j] if bits[j] >= least else F(0)
            total = product_of(g, p)
            for j in range(columns):
                g[j] = (g[j] - total) * p[j]
