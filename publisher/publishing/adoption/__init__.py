"""How a repository begins to use publisher: what `init` writes, what Netlify is told to install, and git hooks."""
