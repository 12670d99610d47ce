"""Audio and text in, judgement out: measures, verdicts, calibration, reports; the review app is in `review`."""
