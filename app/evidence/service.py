"""Use cases of evidence. They never commit."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from app.evidence import queries
from app.evidence.checks import Subject, check_instance, duplicate_finding
from app.pipeline import Task
from app.storage.tables import Instance


def gather_evidence(session: Session, instances: Collection[Instance]) -> None:
    """Check the present revision of each instance and keep what was found, one row per kind."""
    if not instances:
        return
    licenses = queries.licenses_of(session, instances)
    same_text = queries.instances_with_same_text(session, instances)
    found = {
        instance: [
            *check_instance(_subject(instance, licenses.get(instance.snippet_id or 0))),
            duplicate_finding(same_text.get(instance.id)),
        ]
        for instance in instances
    }
    queries.keep_evidence(session, found)


def _subject(instance: Instance, license: str | None) -> Subject:
    return Subject(
        task=Task(instance.task),
        language=instance.language,
        target_language=instance.target_language,
        information=instance.information,
        solution=instance.solution,
        license=license,
    )
