"""Builders: samples go in, annotated data comes out."""
