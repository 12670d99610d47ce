"""Measuring: evaluations against Piper and real speech, long-form runs, and benchmarks of the factory."""
