"""The dataset card: a README in the Hugging Face form. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.export.formats import PARQUET, file_name
from app.pipeline import OFFLINE


class Credit(NamedTuple):
    """Rows taken from one repository, or from one finished set, under one licence."""

    license: str | None
    repo: str
    rows: int


class Facts(NamedTuple):
    """What the card says beside the manifest."""

    project: str
    description: str
    by_task: Mapping[str, int]
    by_language: Mapping[str, int]
    generators: Sequence[str]
    discriminators: Sequence[str]
    templates: Sequence[tuple[str, str]]  # name, hash
    credits: Sequence[Credit]
    readers: int
    decisions: int
    cost_micro: int
    exemplars: int


def card(manifest: Mapping[str, Any], facts: Facts) -> str:
    """README.md of a release; `load_dataset(folder)` follows its `configs` to the Parquet files."""
    sections = [
        _front_matter(manifest),
        f"# {facts.project}: {manifest['name']}",
        facts.description,
        _sentence(manifest, facts),
        _table("Rows", ("split", "rows"), manifest["splits"].items()),
        _table("Tasks", ("task", "rows"), facts.by_task.items()),
        _table("Languages", ("language", "rows"), facts.by_language.items()),
        _table("From raw code to this release", ("step", "rows"), manifest["funnel"].items()),
        _table("Gates", ("gate", "what it did"), _gates(manifest["gates"])),
        _models(facts),
        _table(
            "Licences and attribution",
            ("licence", "repository or set", "rows"),
            [(credit.license or "unknown", credit.repo, credit.rows) for credit in facts.credits],
        ),
        _files(manifest),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(manifest: Mapping[str, Any]) -> str:
    lines = [
        "---",
        "task_categories:",
        "- text-generation",
        "tags:",
        "- code",
        "- instruction-tuning",
        "configs:",
    ]
    lines += ["- config_name: default", "  data_files:"]
    for split in manifest["splits"]:
        lines += [f"  - split: {split}", f"    path: {file_name(PARQUET, split)}"]
    return "\n".join([*lines, "---"])


def _sentence(manifest: Mapping[str, Any], facts: Facts) -> str:
    words = [_of_an_audit(manifest) if "certificate" in manifest else _of_people(manifest, facts)]
    if OFFLINE in (*facts.generators, *facts.discriminators):
        words.append(
            "Rows marked `offline` were derived from the raw code and checked by mechanical rules, without a model."
        )
    if facts.exemplars:
        words.append(
            f"{facts.exemplars:,} rows are marked `served_as_exemplar`: they were shown to a model that wrote others."
        )
    return " ".join(words)


def _of_people(manifest: Mapping[str, Any], facts: Facts) -> str:
    return (
        f"{manifest['rows']:,} instructions, each accepted or edited by a person"
        f" ({facts.readers} readers, {facts.decisions:,} decisions)."
        " **Not audited**: nothing is claimed about the share of defects."
    )


def _of_an_audit(manifest: Mapping[str, Any]) -> str:
    """What is claimed, in the words of the certificate, and what people really read."""
    audit, certificate = manifest["audit"], manifest["certificate"]
    parts = [
        f"{manifest['rows']:,} instructions from a lot of {audit['rows_frozen']:,} that was frozen and then audited"
        f" by a sample in random order: {audit['accepted']:,} were read and left as they are,"
        f" {audit['corrected']:,} read and corrected, {audit['undrawn']:,} never read;"
        f" {audit['removed']:,} were removed ({audit['readers']} readers, {audit['readings']:,} readings).",
        f"**Audited**: {certificate['claim']}",
        certificate["second_line"],
        f"`breakwater verify` recomputes this from the files of this folder; see `{audit['file']}`.",
    ]
    return "\n\n".join(part for part in parts if part)


def _models(facts: Facts) -> str:
    lines = [
        "## Models, prompts and rules",
        "",
        f"* generator: {', '.join(facts.generators)}",
        f"* discriminator: {', '.join(name or 'none (imported)' for name in facts.discriminators)}",
        f"* paid for the calls of these rows: {facts.cost_micro / 1e6:.4f} USD",
    ]
    lines += [f"* {name}: `{template_hash}`" for name, template_hash in facts.templates]
    return "\n".join(lines)


def _gates(gates: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (
            gate.replace("_", " "),
            f"{did['mode']}: found {did['found']:,}, removed {did['removed']:,}"
            if isinstance(did, dict)
            else did,
        )
        for gate, did in gates.items()
    ]


def _files(manifest: Mapping[str, Any]) -> str:
    rows = [(file["name"], file["rows"], f"`{file['sha256']}`") for file in manifest["files"]]
    return _table("Files", ("file", "rows", "sha256"), rows)


def _table(title: str, head: Sequence[str], rows: Any) -> str:
    body = [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    if not body:
        return ""
    return "\n".join([f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body])


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
