"""Continuous batching: decides which samples share the next step, in separate caches or in a shared one."""
