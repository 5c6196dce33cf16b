"""The Celery application of the workers, and its clock."""

from app.queue import DRAIN, JOB, QUEUES, broker

app = broker()
app.conf.beat_schedule = {
    # Repairs lost doorbells; an item that waits for another try is found by these ticks, too.
    "drain": {"task": DRAIN, "schedule": 5.0, "options": {"queue": QUEUES[DRAIN], "expires": 5}},
    "job": {"task": JOB, "schedule": 5.0, "options": {"queue": QUEUES[JOB], "expires": 5}},
    "sweep": {"task": "workers.sweep", "schedule": 15.0, "options": {"queue": QUEUES[DRAIN], "expires": 15}},
}
