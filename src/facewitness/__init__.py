"""facewitness: where and why a face was forged, a verdict you can check."""
__version__ = "0.1.0"
