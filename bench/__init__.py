"""Benchmarks. Rule: a bench prints what it measured and where; it asserts no time, and compares within one run."""
