"""The version, in a file that imports nothing: reports name it, and the package's first file loads them."""

__version__ = "0.1.0"
