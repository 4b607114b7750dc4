"""Netlify: build hook, deploys, rollback and verification, and a compatible host for this machine."""
