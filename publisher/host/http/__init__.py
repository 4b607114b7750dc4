"""The host over HTTP: its API, its build hooks, its uploads and the deploys as visitors see them."""
