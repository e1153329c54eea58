"""Benchmarks: suites as data, the runner that measures a board, and the rows that come out."""
