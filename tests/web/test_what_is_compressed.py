import pytest
from fastapi import FastAPI

from tests.web.clients import visitor


@pytest.mark.parametrize("path", ["/signin", "/static/app.css", "/static/app.js"])
def test_pages_styles_and_scripts_are_compressed(app: FastAPI, path: str) -> None:
    answer = visitor(app).get(path, headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]


def test_answers_of_the_api_are_sent_as_they_are(app: FastAPI) -> None:
    answer = visitor(app).get("/api/v1/openapi.json", headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in answer.headers
    assert int(answer.headers["Content-Length"]) == len(answer.content)
