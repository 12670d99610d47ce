"""What runs when: Prefect flows and the `lectern` command line. Thin; the work is in the other rooms."""
