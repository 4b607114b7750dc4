"""What a run reads: suites and model files, fetched from where a commit says they are."""
