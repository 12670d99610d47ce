-- Run once, when the database is made: Prefect gets a database of its own beside Lectern's.
CREATE DATABASE prefect;
