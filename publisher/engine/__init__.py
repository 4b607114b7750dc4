"""The parent's half of inference: starts confined child processes, sends them requests and receives completions."""
