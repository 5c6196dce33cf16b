"""What the check of a release found, in plain words and for scripts. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.export.verify import Verified
from app.guarantee.claims import percent


def paragraph(verified: Verified) -> str:
    """What was checked and what is claimed, in plain words; problems are counted, not named."""
    if verified.manifest is None:
        return "This is no release: its manifest cannot be read."
    about = verified.manifest
    if verified.problems:
        count = len(verified.problems)
        return f"Release {about['name']} is not what it says: {count} problem{'' if count == 1 else 's'}."
    splits = ", ".join(f"{split} {rows:,}" for split, rows in about["splits"].items())
    words = [
        f"Release {about['name']} is what it says: {about['rows']:,} rows ({splits}) in {len(about['files'])} "
        "files, each with the size and SHA-256 that the manifest lists, every row with its own hash, every "
        f"other format made from the same rows, and the release hash {about['sha256'][:12]} follows from them."
    ]
    if verified.certificate is None:
        if "self_sha256" not in about:
            words.append(
                "A version before 2026-11-26 wrote it: its manifest has no hash of its own, so a change of what "
                "only the manifest says (filters, gates, funnel) would not be seen."
            )
        words.append("It is not audited: nothing is claimed about the share of defects.")
    else:
        words += _of_the_claim(verified.certificate)
    return " ".join(words)


def record(verified: Verified) -> dict[str, Any]:
    """The same for scripts."""
    about, certificate = verified.manifest or {}, verified.certificate or {}
    return {
        "ok": not verified.problems,
        "problems": verified.problems,
        **{name: about.get(name) for name in ("name", "basis", "rows", "sha256")},
        "audited": bool(certificate) and not verified.problems,
        **{
            name: certificate.get(name)
            for name in ("claim", "second_line", "certified_at", "upper_bound", "rows_released", "readers")
        },
        "summary": paragraph(verified),
    }


def _of_the_claim(certificate: Mapping[str, Any]) -> Iterator[str]:
    """Of a certificate that was checked."""
    readers = certificate["readers"]
    yield (
        "Its certificate follows from the frozen lot, the seed and the labels: certified at draw "
        f"{certificate['certified_at']:,} of {certificate['draws_counted']:,}. {certificate['claim']}"
    )
    if certificate["second_line"]:
        yield certificate["second_line"]
    for earlier in certificate["earlier_audits"]:
        yield f"Audit {earlier['id']} of {earlier['shared_rows']:,} of the same rows is {earlier['state']}."
    yield _of_the_readers(readers, certificate["upper_bound"])


def _of_the_readers(readers: Mapping[str, Any], bound: int) -> str:
    again = readers["found_again"]
    defects = f"{again or 'no'} defect{'' if again == 1 else 's'}"
    found = f"Readers err: second readings of {readers['read_twice']:,} rows found {defects}"
    if not again:
        return f"{found}, so nothing limits the share that they miss."
    missed = f"{found}, of which the first ones had missed {readers['missed']}"
    if readers["adjusted"] is None:
        return f"{missed}: nothing limits the share that they miss."
    return (
        f"{missed}: they miss at most "
        f"{percent(readers['miss_rate_limit'])}, and missing so many would leave at most "
        f"{readers['adjusted']:,} defects in place of {bound:,}."
    )
