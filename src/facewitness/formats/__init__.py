"""Formats: a report goes in, bytes come out. Each leaf has `render(report) -> bytes` and an `extension`."""
