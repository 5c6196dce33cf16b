"""Breakwater: instruction-tuning data for code models, with people in charge of what gets in.

The stages, in order; each is a folder, and none imports another:

    ingestion       raw code -> snippets, finished sets -> instances
    selection       snippets -> picks
    generation      picks -> instances
    evidence        instance -> what mechanical checks found
    discrimination  instance -> verdict, rule by rule
    review          verdict + person -> decision
    audit           a frozen lot + people's labels -> what may be claimed of it
    export          what people accepted, or an audit certified -> release

Rooms of pure code that several stages share: `code`, `geometry`, `prompting`, and `guarantee`, what a release
may claim about its defects.

What passes between them is a row and a status (`pipeline`). `runs` shows and steers the long work of every
stage, `prompts` edits what those stages ask, `examples` the cases that they show, `dashboard` reads across them,
`console` is for people, tokens and settings.
"""

import os

# Before anybody imports pyarrow: its own pools take a gigabyte of addresses at their first use, which is all that the
# reading of a foreign file may have (see `ingestion.confined`).
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
