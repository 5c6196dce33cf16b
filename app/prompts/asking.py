"""What the routes of this room ask for, and what the entry point gave them. Touches HTTP."""

from typing import Annotated

from fastapi import Depends, Request

from app.errors import NotFound
from app.prompts.desks import Desk, Desks


def given_desks(request: Request) -> Desks:
    return request.app.state.desks


GivenDesks = Annotated[Desks, Depends(given_desks)]


def desk_of_kind(desks: GivenDesks, kind: str) -> Desk:
    if kind not in desks:
        raise NotFound(f"there are no prompts called {kind[:40]}; there are {', '.join(desks)}")
    return desks[kind]


AskedDesk = Annotated[Desk, Depends(desk_of_kind)]
