"""How often an audit certifies what it should not, and how many draws it takes: exact, for finite lots.

    python -m benchmarks.audit [--full]

Exact recursion over (draws, defects), looking after every draw to the end of the lot, at the first number of defects
that violates the claim, floor(p N) + 1: lots of 500 and 5,000, with `--full` 20,000 too. Beside it 10,000 simulated
lots, `simulated` within three standard errors (`agree`). The same where a judge puts a part of the lot aside that is
read in full: one that is right, one that is useless, and one that works against, which puts only good rows there.
Then mean draws, for lots that hold none, an eighth, a fourth and a half of what is tolerated, beside the table of the
design and beside fixed plans. `false_certification_max` is over everything; the last line names each setting.
"""

from collections.abc import Iterator
from math import floor, sqrt
from typing import Any, NamedTuple

import numpy as np

import benchmarks
from app.guarantee.plans import false_certification, fixed_plan, mean_draws
from app.guarantee.sequential import Test, boundary, prior_for, tolerance_of

RATES = (0.01, 0.02, 0.05)
ALPHAS = (0.05, 0.10)
LOTS = 10_000
SEED = 1
HOLDS = {"clean": 0.0, "p/8": 1 / 8, "p/4": 1 / 4, "p/2": 1 / 2}
DESIGN = {  # mean draws at alpha 0.05, as the design notes give them
    (20_000, 0.01): (319, 526, 861, 2_446),
    (20_000, 0.02): (166, 260, 417, 1_226),
    (20_000, 0.05): (69, 101, 155, 461),
    (5_000, 0.02): (162, 243, 383, 974),
    (500, 0.02): (129, 158, 192, 317),
}
CENSUS_SHARE = 0.1
JUDGES = {"right": 1.0, "useless": CENSUS_SHARE, "against": 0.0}
"""The share of a lot's defects that the judge puts into the part that is read in full."""


class Risk(NamedTuple):
    """The chance to certify a lot with one defect too many, exact and as simulated lots had it."""

    exact: float
    simulated: float

    @property
    def agree(self) -> bool:
        error = sqrt(max(self.exact * (1 - self.exact), 1 / LOTS) / LOTS)
        return abs(self.exact - self.simulated) <= 3 * error


def run(full: bool) -> dict[str, Any]:
    sizes = (500, 5_000, 20_000) if full else (500, 5_000)
    print(f"{'rows':>7} {'p':>5} {'alpha':>6} {'census':>8}  false certification, exact and simulated")
    settings: dict[str, dict[str, Any]] = {}
    for rows, rate, alpha, judge, test in _tests(sizes):
        risk = Risk(false_certification(test, test.tolerance + 1), simulated(test, test.tolerance + 1))
        print(
            f"{rows:>7,} {rate:>5.0%} {alpha:>6} {judge or '–':>8}  {risk.exact:.4f}  {risk.simulated:.4f}"
            f"{'' if risk.agree else '  APART'}",
            flush=True,
        )
        settings[f"{rows} {rate} {alpha}{' ' + judge if judge else ''}"] = {
            "exact": round(risk.exact, 5),
            "simulated": risk.simulated,
            "agree": risk.agree,
            "holds": risk.exact <= alpha,
        }
    draws = _print_draws(sizes)
    return {
        "alpha": list(ALPHAS),
        "false_certification_max": {
            str(alpha): max(one["exact"] for name, one in settings.items() if name.split()[2] == str(alpha))
            for alpha in ALPHAS
        },
        "within_alpha": all(one["holds"] for one in settings.values()),
        "simulations_agree": sum(one["agree"] for one in settings.values()),
        "simulations": len(settings),
        "mean_draws": draws,
        "settings": settings,
    }


def _tests(sizes: tuple[int, ...]) -> Iterator[tuple[int, float, float, str, Test]]:
    """(rows of the lot, p, alpha, judge or "", what is tested on the random part)."""
    for rows in sizes:
        for rate in RATES:
            for alpha in ALPHAS:
                yield rows, rate, alpha, "", Test(rows, tolerance_of(rate, rows), alpha, prior_for(rate))
                for judge, share in JUDGES.items():
                    yield rows, rate, alpha, judge, _beside_a_census(rows, rate, alpha, share)


def _beside_a_census(rows: int, rate: float, alpha: float, share: float) -> Test:
    """The random part of a lot that holds a defect too many in it, where the census removed what it found."""
    census = floor(CENSUS_SHARE * rows)
    in_all = tolerance_of(rate, rows) + 1
    found = min(census, floor(share * in_all))
    released = rows - found
    return Test(rows - census, tolerance_of(rate, released), alpha, prior_for(rate))


def simulated(test: Test, in_lot: int) -> float:
    """The share of `LOTS` lots, each in an order of its own, that are certified anywhere on the way to their end."""
    random, most = np.random.default_rng(SEED), boundary(test)
    certified = 0
    for _ in range(LOTS):
        defect = np.zeros(test.rows, np.int64)
        defect[random.choice(test.rows, in_lot, replace=False, shuffle=False)] = 1
        certified += bool((np.cumsum(defect) <= most[1:]).any())
    return certified / LOTS


def _print_draws(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Mean draws at alpha 0.05 beside the design's; `beside` is the worst of both as a share."""
    print(f"\n{'rows':>7} {'p':>5}  " + "  ".join(f"{name:>14}" for name in HOLDS) + "  fixed: 0, 2 defects")
    found: dict[str, Any] = {}
    for (rows, rate), design in DESIGN.items():
        if rows not in sizes:
            continue
        test = Test(rows, tolerance_of(rate, rows), 0.05, prior_for(rate))
        means = [mean_draws(test, floor(share * rate * rows)) for share in HOLDS.values()]
        plans = [fixed_plan(rows, test.tolerance, 0.05, allowed) for allowed in (0, 2)]
        shown = "  ".join(f"{mean:>6.0f} ({of:>5,})" for mean, of in zip(means, design, strict=True))
        print(f"{rows:>7,} {rate:>5.0%}  {shown}  {plans[0]}, {plans[1]}", flush=True)
        found[f"{rows} {rate}"] = {
            "means": [round(mean, 1) for mean in means],
            "beside": round(max(mean / of for mean, of in zip(means, design, strict=True)), 3),
            "fixed_plans": plans,
        }
    return found


def main() -> None:
    benchmarks.main(run)


if __name__ == "__main__":
    main()
