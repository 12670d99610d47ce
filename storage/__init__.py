"""What must survive a crash: SQLAlchemy models, migrations, the work queue, the object store, releases."""
