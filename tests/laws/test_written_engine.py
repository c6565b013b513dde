"""The engine of docs/write-an-engine.md: it runs as written, is short, and obeys the laws that the page says it owes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ppl import limit
from ppl.errors import OptionError
from ppl.registry import ENGINES
from ppl.testing import check_replay_invariance, check_seed_determinism, check_unbiased
from tests.laws.programs import CASES
from tests.laws.test_invariances import sized

PAGE = (Path(__file__).parents[2] / "docs" / "write-an-engine.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def page():
    """The page's names, and what it printed."""
    printed: list[str] = []
    names = {"__name__": "write_an_engine", "print": printed.append}
    exec(compile(CODE, "write-an-engine.md", "exec", dont_inherit=True), names)
    yield names, printed
    del ENGINES["roulette"]


def test_the_page_runs_and_its_numbers_agree(page):
    (line,) = page[1]
    found, exactly = (float(x) for x in re.findall(r"-?\d+\.\d+", line))
    assert abs(found - exactly) < 0.2  # 2,000 particles: the standard error is about .03


def test_a_whole_engine_takes_at_most_sixty_lines():
    code = CODE[: CODE.index("@roulette")]
    assert "class roulette" in code and "register_engine" in code
    assert len(code.strip().splitlines()) <= 60


@pytest.mark.parametrize("particles", [1, 2, 3])
@pytest.mark.parametrize("name", ["var", "tail", "late", "early", "stopper", "hopeless"])
def test_it_is_unbiased(page, name, particles):
    for share in (0.5, 0.9):
        check_unbiased(page[0]["roulette"](particles, share), CASES[name].program, exact=CASES[name].exact)


def test_it_obeys_the_other_laws(page):
    engine = page[0]["roulette"](particles=4)
    check_replay_invariance(engine, sized, (4,))
    check_seed_determinism(engine, sized, [3, 1, 4])
    stopped = sized.run(6, engine="roulette(4)", seed=0, limit=limit(nodes=7))
    assert stopped.stopped == "nodes" and stopped.cost.nodes == 7


def test_its_options_are_checked_like_any_others(page):
    with pytest.raises(OptionError) as caught:
        page[0]["roulette"](particle=3)
    assert str(caught.value) == (
        "roulette has no option 'particle'. Did you mean 'particles'? Its options: particles, share=0.5."
    )
    with pytest.raises(OptionError, match="expected int"):
        page[0]["roulette"](particles="a")
