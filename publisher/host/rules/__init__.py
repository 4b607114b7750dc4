"""Headers, redirects and content types: pure functions from a path to an answer."""
