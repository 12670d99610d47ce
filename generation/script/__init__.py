"""What will be said: a chapter's text normalised, pronounced, and laid out as units with their places."""
