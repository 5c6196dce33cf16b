from hypothesis import given
from hypothesis import strategies as st

from app.code.difference import changed_lines, edit_distance

TEXTS = st.text("ab\n ", max_size=40)


def _by_the_book(old: str, new: str) -> int:
    """Wagner and Fischer's table, row by row."""
    above = list(range(len(new) + 1))
    for i, a in enumerate(old, 1):
        row = [i]
        for j, b in enumerate(new, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
        above = row
    return above[-1]


@given(TEXTS, TEXTS)
def test_the_distance_is_the_least_number_of_characters_to_change(old: str, new: str) -> None:
    assert edit_distance(old, new) == _by_the_book(old, new)


@given(TEXTS, TEXTS)
def test_a_diff_holds_both_texts_whole(old: str, new: str) -> None:
    lines = changed_lines(old, new)

    def side(signs: str) -> str:
        return "\n".join("".join(word.text for word in line.words) for line in lines if line.sign in signs)

    assert side(" -") == old
    assert side(" +") == new


def test_a_text_of_nothing_but_braces_is_compared_in_time() -> None:
    old, new = ["{", "}"] * 10_000, ["}", "{"] * 10_000  # a hundred million pairs of lines are alike

    lines = changed_lines("\n".join(old), "\n".join(new))

    assert ["".join(word.text for word in line.words) for line in lines if line.sign in " +"] == new


def test_only_the_words_that_changed_are_marked() -> None:
    removed, added = changed_lines("return x + 1", "return x + 2")

    assert (removed.sign, [word.text for word in removed.words if word.changed]) == ("-", ["1"])
    assert (added.sign, [word.text for word in added.words if word.changed]) == ("+", ["2"])
