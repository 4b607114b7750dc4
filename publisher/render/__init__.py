"""Ledger to site: gather everything first, then write."""
