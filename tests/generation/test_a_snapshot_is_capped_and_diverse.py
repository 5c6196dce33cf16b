"""Which cases of the bank a run may draw from."""

from hypothesis import given
from hypothesis import strategies as st

from app.generation.snapshot import CASES_OF_A_KIND, Candidate, Origin, chosen, hashed_words


def case(number: int, origin: Origin, text: str, **values: object) -> Candidate:
    kind = {"task": "repair", "language": "go", "is_good": True} | values
    return Candidate(number, **kind, origin=origin, text=text)  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(st.sampled_from(Origin), st.text("ab \n", max_size=4), st.sampled_from(["go", "java"])),
        max_size=40,
    ),
    st.integers(0, 3),
)
def test_each_text_comes_once_whatever_its_white_space(
    drawn: list[tuple[Origin, str, str]], seed: int
) -> None:
    cases = [case(n, origin, text, language=language) for n, (origin, text, language) in enumerate(drawn)]
    found = chosen(cases, seed)

    own = [one for one in cases if one.origin is not Origin.SHIPPED]
    texts = {(one.language, " ".join(one.text.split())) for one in own}
    inside = [cases[number] for number in found]
    assert len(found) == len(set(found)) == (len(texts) if own else len(cases))
    assert own == [] or {(one.language, " ".join(one.text.split())) for one in inside} == texts
    assert found == chosen(reversed(cases), seed)


def test_pinned_cases_come_first_then_peoples_then_a_judges() -> None:
    cases = [
        case(number, origin, f"{origin.name} {number}")
        for number, origin in enumerate(
            [Origin.JUDGE] * CASES_OF_A_KIND + [Origin.PERSON] * (CASES_OF_A_KIND - 10) + [Origin.PINNED] * 4
        )
    ]
    found = chosen(cases, seed=1)

    assert len(found) == CASES_OF_A_KIND
    assert [sum(cases[one].origin is origin for one in found) for origin in Origin] == [4, 90, 6, 0]


def test_of_too_many_those_that_are_unlike_come_in() -> None:
    alike = [case(number, Origin.JUDGE, f"add one to x{number % 3}") for number in range(300)]
    alike = [one._replace(text=f"{one.text} {number}") for number, one in enumerate(alike)]
    unlike = [
        case(1000 + number, Origin.JUDGE, words)
        for number, words in enumerate(
            [
                "parse a date in three formats",
                "walk the tree without recursion",
                "merge two sorted lists of rows",
            ]
        )
    ]
    found = chosen([*alike, *unlike], seed=2)

    assert len(found) == CASES_OF_A_KIND
    assert {one.exemplar_id for one in unlike} <= set(found)
    assert found == chosen([*unlike, *alike], seed=2) != chosen([*alike, *unlike], seed=3)


def test_rows_of_words_have_length_one_even_without_words() -> None:
    points = hashed_words(["", "a b c", "\ud800 lonely"])

    assert points.shape == (3, 512)
    assert abs((points**2).sum(axis=1) - 1).max() < 1e-6
