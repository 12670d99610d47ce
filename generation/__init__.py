"""Text and a voice in, speech out: manuscripts, script, tokens, models, engine, mastering, training."""
