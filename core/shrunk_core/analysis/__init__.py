"""Scaling laws, breaks, frontiers, cost-effectiveness and correlations: pure functions over arrays.

Nothing here reads a file, prints or imports torch. Every number comes back with its n, its spread and its caveats, and
input that cannot carry the question is refused with `FitError`.
"""
