"""What a selection looks like over REST. Pure."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class SelectionRequest(BaseModel):
    """What to select: `k` snippets that leave no other snippet of the project far from all of them."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"k": 500, "seed": 0, "languages": ["python", "go"]}]}
    )

    k: int = Field(description="How many snippets to pick: at most as many as there are", examples=[500])
    seed: int = Field(0, description="Draws the first pick; all others follow from it", examples=[0])
    embedder: str | None = Field(
        None,
        max_length=200,
        description="An embedder that a selection of this project used; without it ours, fitted on the project",
    )
    languages: list[str] | None = Field(
        None,
        max_length=20,
        description="Pick among snippets of these languages only; without it among all",
        examples=[["python", "go"]],
    )


class StartedSelection(BaseModel):
    """The run that was started; `Location` leads to the whole of it."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="The run", examples=[12])
    kind: str = Field(examples=["select"])
    state: str = Field(examples=["queued"])
    total: int = Field(description="Snippets to choose from", examples=[4812])
    params: dict[str, object] = Field(
        description="All that it takes to do it again",
        examples=[
            {"k": 500, "seed": 0, "languages": None, "embedder": "hashed-svd", "last_snippet_id": 4812}
        ],
    )
    selection_id: int = Field(examples=[4])


class SelectionAnswer(BaseModel):
    id: int = Field(examples=[4])
    run_id: int = Field(examples=[12])
    state: str = Field(description="Of the run", examples=["completed"])
    reason: str | None = Field(description="Why the run is paused or failed")
    created_at: datetime
    k: int = Field(description="Picks asked for", examples=[500])
    picks: int = Field(
        description="Picks made: fewer than `k` where fewer snippets differ, none before the run ended",
        examples=[500],
    )
    seed: int = Field(examples=[0])
    languages: list[str] | None = Field(description="Null: all", examples=[["go", "python"]])
    embedder: str | None = Field(description="With the hash of its model; null until it is fitted")


class ShareAnswer(BaseModel):
    language: str = Field(examples=["python"])
    snippets: int = Field(description="That could be picked", examples=[3120])
    picks: int = Field(examples=[287])


class PointAnswer(BaseModel):
    """Distances to the nearest of the first `size` picks, and of as many snippets drawn at random."""

    size: int = Field(examples=[500])
    largest: float = Field(examples=[0.94])
    mean: float = Field(examples=[0.61])
    random_largest: float = Field(examples=[1.12])
    random_mean: float = Field(examples=[0.58])


class CoverageAnswer(BaseModel):
    """Distances are Euclidean between vectors of length 1: 0 is the same direction, 1.41 nothing in common."""

    curve: list[PointAnswer]
    shares: list[ShareAnswer]


class SelectionWithCoverage(SelectionAnswer):
    coverage: CoverageAnswer | None = Field(description="Null until the run has ended well")


class PickAnswer(BaseModel):
    rank: int = Field(description="1 is the first", examples=[1])
    radius: float = Field(
        description="Distance of the farthest snippet to its nearest pick, after this pick", examples=[1.31]
    )
    snippet_id: int = Field(examples=[1042])
    language: str = Field(examples=["python"])
    name: str = Field(description="The function's, with the classes around it", examples=["Heap.push"])
    repo: str = Field(examples=["owner/repository"])
    path: str = Field(examples=["package/heap.py"])
    license: str | None = Field(description="SPDX; null is unknown", examples=["MIT"])
