"""The benchmark: predictions once, tables from predictions alone, every number beside what it is mistaken for."""
