"""Use cases of evidence. They never commit."""

from sqlalchemy.orm import Session

from app.evidence import queries
from app.evidence.checks import Subject, check_instance, duplicate_finding
from app.pipeline import Task
from app.storage.tables import Instance


def gather_evidence(session: Session, instance: Instance) -> None:
    """Check the present revision of an instance and keep what was found, one row per kind."""
    subject = Subject(
        task=Task(instance.task),
        language=instance.language,
        target_language=instance.target_language,
        information=instance.information,
        solution=instance.solution,
        license=queries.license_of(session, instance),
    )
    duplicate = duplicate_finding(queries.instance_with_same_text(session, instance))
    queries.keep_evidence(session, instance, [*check_instance(subject), duplicate])
