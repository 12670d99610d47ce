"""Raw audio and text in, weights out: one loop, and an objective for each of the four models."""
