"""What must survive a crash: models, migrations, the work queue, the object store, releases."""
