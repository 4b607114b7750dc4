"""The local host held against what Netlify publishes."""
