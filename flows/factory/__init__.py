"""The factory: a manuscript's way from intake to a published release, and the Prefect flows that drive it."""
