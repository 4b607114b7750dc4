"""Benchmark the language model that a git commit describes and publish every kept result as an immutable site."""

__version__ = "0.1.0"
