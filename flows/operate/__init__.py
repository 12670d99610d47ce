"""Operating a home: its services up and down, their health, logs, metrics, backups and room."""
