"""History and record to verdict: pure functions."""
