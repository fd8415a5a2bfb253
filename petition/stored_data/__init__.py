"""What is stored: each table and column, why, until when, and who can read it. The one place that says so."""
