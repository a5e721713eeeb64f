"""Witnesses: whatever can testify about a face.

`load(**options)` gives an object with `examine(face, question=None) -> Testimony`, `name` and `made_by()`.
"""
