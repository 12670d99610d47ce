"""SoundStorm: all codec codes of a window at once, from semantic tokens, text and a fixed voice prompt."""
