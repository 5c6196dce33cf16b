"""The Celery application of the workers, and its clock."""

from app.queue import DRAIN, JOB, QUEUES, broker
from app.runtime.logs import configure_logging
from app.settings import settings

configure_logging(settings().log_format)

app = broker()
app.conf.worker_redirect_stdouts = False  # our log lines are whole already
app.conf.beat_schedule = {
    # Repairs lost doorbells; an item that waits for another try is found by these ticks, too.
    "drain": {"task": DRAIN, "schedule": 5.0, "options": {"queue": QUEUES[DRAIN], "expires": 5}},
    "job": {"task": JOB, "schedule": 5.0, "options": {"queue": QUEUES[JOB], "expires": 5}},
    "sweep": {"task": "workers.sweep", "schedule": 15.0, "options": {"queue": QUEUES[DRAIN], "expires": 15}},
}
