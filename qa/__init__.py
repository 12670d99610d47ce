"""Audio and text in, judgement out; the review app is in `review`."""
