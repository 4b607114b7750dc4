"""What an answer is like beside right or wrong: its form, language, steps, loops and code; and what k answers show.

Every measure is defined in `schema/metrics.py`, takes time in proportion to the text, and looks at no more than
`LONGEST` characters of it. Programs and languages are looked at in confined processes.
"""
