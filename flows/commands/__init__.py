"""The commands of `lectern`, a module for each noun: they parse, show and exit; the work is elsewhere."""
