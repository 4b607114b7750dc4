"""Builds: a queue, a clean clone, the site's own command, and the folder that becomes a deploy."""
