"""What the report knows of runs: their arms and scores from the database, their artifacts from the store."""
