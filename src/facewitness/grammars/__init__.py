"""Grammars: a language model's words ↔ a reply. Each leaf has `parse(text) -> Reply` and `render(reply) -> str`.

`parse` never raises on a text: what cannot be read is a reply without a label. What `render` wrote, `parse` reads.
"""
