"""A commit's `publisher.toml` as Tekton manifests: pure functions from settings to Kubernetes values and their YAML."""
