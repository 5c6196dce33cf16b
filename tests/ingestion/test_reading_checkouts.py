import io
import json
import sysconfig
import tarfile
import zipfile
from itertools import islice
from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.ingestion.checkout import LARGEST_FILE
from app.ingestion.readers import Format, format_of, read_source
from app.ingestion.rows import Refusal, Row
from tests.ingestion.rows import CODE

FILES = {
    "numbers/arithmetic.py": CODE.encode(),
    "web/sum.js": b"// Add two numbers.\nfunction sum(a, b) { return a + b; }\n",
    "README.md": b"# Numbers",
    "node_modules/left/pad.js": b"function pad() {}",
    "node_modules/right/pad.js": b"function pad() {}",
    "tests/test_it.py": CODE.encode(),
    ".git/hooks/hook.py": CODE.encode(),
}


def as_folder(folder: Path, files: dict[str, bytes]) -> Path:
    root = folder / "checkout"
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def as_zip(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "checkout.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def as_tar(folder: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    path = folder / "checkout.tar.gz"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def read(path: Path) -> list[Row | Refusal]:
    return list(read_source(path, path.name, format_of(path, path.name), "MIT"))


def rules_and_files(outcomes: list[Row | Refusal]) -> list[tuple[str, str]]:
    return sorted((one.rule if isinstance(one, Refusal) else "row", one.file) for one in outcomes)


@pytest.mark.parametrize("packed", [as_folder, as_zip, as_tar])
def test_a_checkout_gives_its_own_functions_and_says_what_it_leaves_out(tmp_path: Path, packed):
    outcomes = read(packed(tmp_path, FILES))

    found = rules_and_files(outcomes)
    folders = [one for one in found if one[0] != "row"]
    assert [one for one in found if one[0] == "row"] == [
        ("row", "numbers/arithmetic.py"),
        ("row", "web/sum.js"),
    ]
    assert folders == [("test_folder", "tests"), ("third_party_folder", "node_modules")]


def test_a_row_of_a_checkout_knows_where_it_stands(tmp_path: Path):
    root = as_folder(tmp_path, {"web/sum.js": FILES["web/sum.js"]})
    (root / ".git").mkdir()
    (root / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (root / ".git/packed-refs").write_text(f"# pack-refs\n{'c' * 40} refs/heads/main\n")

    (row,) = read(root)

    assert isinstance(row, Row)
    code = row.code
    assert (row.line, code.language, code.name, code.comment) == (2, "javascript", "sum", "Add two numbers.")
    assert (code.repo, code.path, code.sha, code.license) == ("checkout", "web/sum.js", "c" * 40, "MIT")


@pytest.mark.parametrize("packed", [as_zip, as_tar])
def test_members_that_leave_the_archive_are_refused_and_nothing_is_written(tmp_path: Path, packed):
    files = {"../../evil.py": CODE.encode(), "/etc/evil.py": CODE.encode(), "good.py": CODE.encode()}
    path = packed(tmp_path, files)

    outcomes = read(path)

    assert rules_and_files(outcomes) == [
        ("hostile_name", "../../evil.py"),
        ("hostile_name", "/etc/evil.py"),
        ("row", "good.py"),
    ]
    assert list(tmp_path.rglob("*")) == [path]


def test_an_archive_that_unpacks_to_a_mountain_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("app.ingestion.checkout.MOST_FILES", 3)
    path = as_zip(tmp_path, {f"file{number}.py": CODE.encode() for number in range(5)})

    assert [one.rule for one in read(path) if isinstance(one, Refusal)] == ["too_many_files"]


@pytest.mark.parametrize("packed", [as_folder, as_zip, as_tar])
def test_a_file_too_large_for_a_person_is_refused_unread(tmp_path: Path, packed):
    path = packed(tmp_path, {"big.py": b"#" * (LARGEST_FILE + 1), "good.py": CODE.encode()})

    assert rules_and_files(read(path)) == [("file_too_large", "big.py"), ("row", "good.py")]


def test_a_tar_header_that_claims_gigabytes_is_refused(tmp_path: Path):
    path = tmp_path / "checkout.tar"
    entry = tarfile.TarInfo("././@PaxHeader")
    entry.type = tarfile.XHDTYPE
    entry.size = 7 * 1024**3
    path.write_bytes(entry.tobuf(tarfile.USTAR_FORMAT) + b"\0" * 1024)

    assert [one.rule for one in read(path) if isinstance(one, Refusal)] == ["broken_archive"]


@pytest.mark.parametrize("packed", [as_zip, as_tar])
def test_an_archive_cut_in_half_is_told(tmp_path: Path, packed):
    path = packed(tmp_path, {f"{number}.py": CODE.encode() * number for number in range(50)})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    last = read(path)[-1]

    assert isinstance(last, Refusal)
    assert last.rule == "broken_archive"


def test_bad_files_are_refused_one_by_one(tmp_path: Path):
    files = {
        "latin.go": "// größe\nfunc f() {}".encode("latin-1"),
        "declared.py": "# -*- coding: latin-1 -*-\ndef f():\n    'größe'\n".encode("latin-1"),
        "nul.js": b"function f() {}\n\0",
        "old.py": b"print 'Python 2'\n",
        "strange.py": b"# coding: no-such-coding\n",
    }

    assert rules_and_files(read(as_folder(tmp_path, files))) == [
        ("bad_encoding", "latin.go"),
        ("not_parseable", "old.py"),
        ("not_parseable", "strange.py"),
        ("nul_character", "nul.js"),
        ("row", "declared.py"),
    ]


def test_links_are_not_followed_and_an_empty_folder_says_so(tmp_path: Path):
    root = tmp_path / "checkout"
    root.mkdir()
    (tmp_path / "secret.py").write_text(CODE)
    (root / "link.py").symlink_to(tmp_path / "secret.py")
    (root / "loop").symlink_to(root)

    assert rules_and_files(read(root)) == [("empty_file", "checkout")]


def test_the_format_is_found_out_by_the_first_bytes(tmp_path: Path):
    packed = as_tar(tmp_path, FILES)
    packed.rename(tmp_path / "anything")
    plain = tmp_path / "rows"
    plain.write_text(json.dumps({}))

    assert format_of(tmp_path / "anything", "anything") is Format.CHECKOUT
    assert format_of(plain, "rows") is Format.CODESEARCHNET
    assert format_of(plain, "module.py") is Format.CHECKOUT
    assert format_of(tmp_path, "folder") is Format.CHECKOUT


@pytest.mark.parametrize("asked", ["codesearchnet", "parquet"])
def test_a_folder_given_as_a_file_and_a_path_that_is_not_there_are_refused(tmp_path: Path, asked: str):
    with pytest.raises(InvalidInput, match="is a folder"):
        format_of(tmp_path, "folder", asked)
    with pytest.raises(InvalidInput, match="no such file"):
        format_of(tmp_path / "nothing", "nothing", asked)
    with pytest.raises(InvalidInput, match="unknown format"):
        format_of(tmp_path, "folder", "xml")


def test_the_library_of_this_interpreter_is_a_checkout_with_its_version():
    stdlib = Path(sysconfig.get_path("stdlib"))

    rows = [
        row
        for row in islice(read_source(stdlib, "stdlib", Format.CHECKOUT, "PSF-2.0"), 50)
        if isinstance(row, Row)
    ]

    assert len(rows) > 40
    assert {row.code.repo for row in rows} == {"python/cpython"}
    assert all(row.code.sha.startswith("v3.") and row.code.url.startswith("https://") for row in rows)
