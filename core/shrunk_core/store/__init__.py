"""The index: every log of a lab as tables that answer SQL. Rebuildable from the logs alone; nothing here is the truth.

`store.open_store(lab)` is the door; `queries` holds every SELECT of our own. No other package imports duckdb.
"""
