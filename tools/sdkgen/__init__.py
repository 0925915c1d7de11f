"""Writes the parts of the SDKs that follow from the service model. `python -m tools.sdkgen` writes, `--check` compares.

Rule: each language is a module with ``files()``, repository-relative paths and their texts; only those files are
written. What the model says is nowhere written by hand.
"""
