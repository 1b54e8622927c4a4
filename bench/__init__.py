"""Benchmarks of the pass, of sending and of the pages. `python -m bench --help`."""
