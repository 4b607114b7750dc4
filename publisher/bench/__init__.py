"""From a commit to its record: the only step that runs a model."""
