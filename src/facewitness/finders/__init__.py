"""Finders: a frame goes in, its faces come out. `load(**options)` gives an object with `find(frame) -> tuple[Face, ...]`."""
