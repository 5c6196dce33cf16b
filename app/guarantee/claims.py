"""What a certificate says in plain sentences. Pure."""

from typing import NamedTuple


class Claimed(NamedTuple):
    """The numbers behind the sentences."""

    max_defect_rate: float  # p
    alpha: float  # over all attempts declared
    attempts: int
    attempt: int
    other_audits: int  # earlier ones that share rows
    guideline_version: int | None
    rows: int  # N, of the part that is drawn from
    rows_audited: int  # with the census rows that are kept
    rows_released: int
    tolerance: int | None  # None until the census is complete
    certified_at: int | None  # draws
    upper_bound: int  # U, of the part that is drawn from
    corrected: int  # defects found in that part that the release has with another text
    removed: int  # defects found in that part that it does not have
    taken_out: int  # rows that left after the freeze without being defects


def claim(claimed: Claimed) -> str:
    """The statement itself: the rate, or the count where rows left that nobody found to be defects."""
    if claimed.certified_at is None:
        return f"Not certified: {_missing(claimed)}"
    return f"{_count(claimed) if claimed.taken_out else _rate(claimed)} {_attempts(claimed)}"


def second_line(claimed: Claimed) -> str | None:
    """What is left when the defects that were found are taken off; None where none was found."""
    mended = claimed.corrected + claimed.removed
    if claimed.certified_at is None or not mended:
        return None
    left = claimed.upper_bound - mended
    return (
        f"Of at most {_rows(claimed.upper_bound, 'defect')} in the {claimed.rows:,} rows drawn from, {mended:,} "
        f"{'was' if mended == 1 else 'were'} found{_mended(claimed)}: at most {left:,} "
        f"{'is' if left == 1 else 'are'} left."
    )


def _rate(claimed: Claimed) -> str:
    return (
        f"If more than {percent(claimed.max_defect_rate)} of the {claimed.rows_audited:,} instances audited "
        f"were defective, as readers judge under {_guideline(claimed)}, {_chance(claimed)}."
    )


def _count(claimed: Claimed) -> str:
    bound = claimed.upper_bound
    share = f", at most {percent(bound / claimed.rows_released)}" if claimed.rows_released else ""
    return (
        f"At most {_rows(bound, 'defect')} among the {claimed.rows:,} rows drawn from, as they were frozen and "
        f"as readers judge under {_guideline(claimed)}: were there more, {_chance(claimed, 'found this bound')}. "
        f"{_rows(claimed.taken_out, 'row')} left the lot after the freeze without being found defective, so "
        f"what holds is this count{share} of the {claimed.rows_released:,} rows released."
    )


def _chance(claimed: Claimed, what: str = "passed") -> str:
    others = " or another declared with it" if claimed.attempts > 1 else ""
    return f"the chance that this audit{others} would have {what} is at most {percent(claimed.alpha)}"


def _attempts(claimed: Claimed) -> str:
    if claimed.attempt > claimed.attempts:
        return (
            f"It is not the first audit of these rows but attempt {claimed.attempt}, and {claimed.attempts} "
            f"{'was' if claimed.attempts == 1 else 'were'} declared beforehand: the chance that one of them "
            "passes is higher."
        )
    if claimed.attempts > 1:
        share = percent(claimed.alpha / claimed.attempts)
        return f"It is attempt {claimed.attempt} of {claimed.attempts} declared beforehand, each at {share}."
    if claimed.other_audits:
        return "It is not the first audit of these rows: the chance that one of several passes is higher."
    return "It is the first audit of these rows."


def _missing(claimed: Claimed) -> str:
    if claimed.tolerance is None:
        return "the census is not complete."
    return (
        f"up to {_rows(claimed.upper_bound, 'defect')} among the {claimed.rows:,} rows drawn from are not ruled "
        f"out, and {max(0, claimed.tolerance):,} are tolerated."
    )


def _mended(claimed: Claimed) -> str:
    if not claimed.removed:
        return " and corrected"
    if not claimed.corrected:
        return " and removed"
    return f", {claimed.corrected:,} corrected and {claimed.removed:,} removed"


def _guideline(claimed: Claimed) -> str:
    version = claimed.guideline_version
    return "their own judgement" if version is None else f"guideline version {version}"


def _rows(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """With as many digits as say something."""
    return f"{100 * share:.3g} %"
