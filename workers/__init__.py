"""Entry points of the background: a Celery application and one thin task file."""
