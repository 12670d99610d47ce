"""Manuscripts of every accepted format, read into one `Book`."""
