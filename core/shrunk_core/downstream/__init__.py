"""Downstream scores of trained models: GLUE, minimal pairs, probes."""
