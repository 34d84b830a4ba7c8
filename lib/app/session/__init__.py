"""The open study with its runs, and what is computed of them: one module per topic, imported by widgets and pages.

`state` is all that a session keeps, `current` the study on screen, `caches` the one rule of caching.
"""
