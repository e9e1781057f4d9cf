"""Measurements, one file a question; ``python -m benchmarks all`` answers them all."""
