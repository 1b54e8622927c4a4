"""Benchmarks of the pass and of sending. `python -m bench --help`."""
