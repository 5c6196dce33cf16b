"""Read-only across the stages: the overview of a project, and how people's decisions compare with verdicts."""
