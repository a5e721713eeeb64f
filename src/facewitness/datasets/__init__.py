"""Datasets: a folder as it is distributed goes in, samples come out. Each leaf has `samples(root, split=None)`."""
