"""Work items and how they get done: claiming, leases, calls, money, runs. Knows items, not stages.

Postgres is the truth, Celery is the doorbell. A stage plugs in with a `Handler` (one question to a model) or a
`Job` (processor work); the entry point hands them over, so nothing here imports a stage.
"""
