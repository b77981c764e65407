"""The parts of the benchmark: each has a `run` that measures, and a struct of what it found."""
