"""How well the measures find known damage in real speech, and how often they cry wolf."""
