"""Downstream scores of trained models: GLUE and tasks of its form, minimal pairs, probes.

Tasks, their rows, the vocabulary filter, metrics and gains need no torch; examples, heads and loops do.
"""
