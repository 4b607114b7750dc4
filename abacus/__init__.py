"""Abacus is the recipe of the tiny model that the package ships as `builtin:abacus`."""
