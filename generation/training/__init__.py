"""Raw audio and text in, weights out: data, teacher, objectives and the one training loop."""
