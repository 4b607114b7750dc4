"""Grading programs: they run in a sandbox, and what they answer is compared outside it."""
