"""Measurements, one file a scenario; `python -m benchmarks all` runs them."""
