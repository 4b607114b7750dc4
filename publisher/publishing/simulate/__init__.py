"""What a policy does over many simulated runs: how often it rejects innocent commits, and what it finds."""
