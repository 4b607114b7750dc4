"""The whole set-up, looked at: this machine, the repository, and the site."""
