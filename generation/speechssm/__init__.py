"""SpeechSSM: reads a script as semantic tokens, with a pointer that must pass every unit."""
