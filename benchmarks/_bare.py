"""The baseline: a bare `AsyncOpenAI` loop in a process of its own. Reads request bodies from stdin, prints JSON.

python -m benchmarks._bare URL --calls 5000 --in-flight 64 [--retry] < bodies.json
"""

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any

from openai import AsyncOpenAI, OpenAIError

from tests.stack.product import ROOT

_TRIES = 10


async def _ask(client: AsyncOpenAI, body: dict[str, Any], tries: int) -> bool:
    """Whether there was a usable reply."""
    for attempt in range(tries):
        try:
            completion = await client.chat.completions.create(**body)
            message = completion.choices[0].message
            needed = body["response_format"]["json_schema"]["schema"]["required"]
            if set(needed) <= json.loads(message.content or "").keys():
                return True
        except (OpenAIError, ValueError, TypeError):
            await asyncio.sleep(random.uniform(0, 0.1 * 2**attempt))
    return False


async def _loop(url: str, bodies: Iterator[dict[str, Any]], in_flight: int, tries: int) -> int:
    async with AsyncOpenAI(base_url=url, api_key="test", max_retries=0) as client:

        async def work() -> int:  # all of them pull from one iterator
            return sum([await _ask(client, body, tries) for body in bodies])

        return sum(await asyncio.gather(*(work() for _ in range(in_flight))))


def bare_loop(
    url: str, bodies: Sequence[dict[str, Any]], calls: int, in_flight: int, *, retry: bool = False
) -> dict[str, float]:
    """Ask `calls` of `bodies`, again from the first when they are used up. Keys: seconds, usable, cpu_seconds."""
    command = [
        sys.executable,
        "-m",
        "benchmarks._bare",
        url,
        "--calls",
        str(calls),
        "--in-flight",
        str(in_flight),
    ]
    done = subprocess.run(
        command + ["--retry"] * retry,
        cwd=ROOT,
        input=json.dumps(bodies),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--retry", action="store_true")
    asked = parser.parse_args()
    bodies = islice(cycle(json.load(sys.stdin)), asked.calls)
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.monotonic()
    usable = asyncio.run(_loop(asked.url, bodies, asked.in_flight, _TRIES if asked.retry else 1))
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"seconds": seconds, "usable": usable, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
