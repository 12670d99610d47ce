"""Semantic tokens: what was said and how, without who said it, 21.53 a second."""
