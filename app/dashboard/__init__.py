"""Read-only across the stages: the overview of a project, how the reading goes, and how people's decisions compare with verdicts and with each other's."""
