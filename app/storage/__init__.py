"""The database: how to reach it, and every table in one place."""
