"""What a plan is asked with: mixes, CPU, tariffs; what is wrong with them is said, and nothing is planned."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation_api.application.capacity.charges import EXPIRE, Charge, Mix, mix_of
from reservation_api.application.capacity.lines import Question
from reservation_api.application.capacity.plan import plan
from reservation_api.application.capacity.tariff import (
    PLANNED,
    cpu_of,
    default_tariff,
    measured_cpu,
    tariff_of,
)

CHARGES: Final = {name: Charge(write={"event-created-index": 1}) for name in PLANNED}
QUESTION: Final = Question(1000, Mix(), CHARGES, measured_cpu(), default_tariff())


def test_what_is_neither_confirmed_nor_cancelled_expires() -> None:
    rates = mix_of("hold=20, confirm=7, cancel=3, get=60").rates(1000)
    assert rates[EXPIRE] == 100
    assert (rates["hold"], rates["get"], rates["list"]) == (200, 600, 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no share"),
        ("hold", "no share"),
        ("buy=10", "no share"),
        ("expire=10", "no share"),
        ("hold=ten", "no number"),
        ("hold=-1", "not negative"),
        ("hold=nan", "not negative"),
        ("hold=60,get=41", "a hundred at most"),
        ("hold=10,confirm=8,cancel=3", "a hold ends once"),
    ],
)
def test_a_mix_that_can_not_be_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        mix_of(text)


@given(st.floats(0, 50), st.floats(0, 1), st.floats(0, 1), st.floats(1, 1e6))
def test_as_many_holds_end_as_begin(hold: float, confirmed: float, cancelled: float, rate: float) -> None:
    confirm = hold * confirmed
    mix = Mix(hold=hold, confirm=confirm, cancel=(hold - confirm) * cancelled, get=0)
    rates = mix.rates(rate)
    assert rates["confirm"] + rates["cancel"] + rates[EXPIRE] == pytest.approx(rates["hold"])
    assert rates[EXPIRE] >= -1e-9


def test_cpu_that_is_given_takes_the_place_of_what_was_measured() -> None:
    cpu = measured_cpu().overridden("hold=200us, get=100us")
    assert (cpu.microseconds["hold"], cpu.microseconds["get"]) == (200, 100)
    assert cpu.sources["hold"] == "given"
    assert cpu.microseconds["confirm"] == measured_cpu().microseconds["confirm"]


@pytest.mark.parametrize(
    "text", ["", "hold=200", "hold=us", "hold=0us", "hold=-1us", "hold=infus", "hold=nanus", "buy=1us"]
)
def test_cpu_that_can_not_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not like hold=200us|microseconds\?"):
        measured_cpu().overridden(text)


def test_a_request_without_a_measurement_says_like_which_it_is_reckoned() -> None:
    cpu = measured_cpu()
    assert cpu.microseconds.keys() == set(PLANNED)
    assert cpu.microseconds["extend"] == cpu.microseconds["hold"]
    assert cpu.sources["extend"] == "like hold"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('measured = "x"\n[microseconds]\nhold = 1\n[like]\nget = "hold"', "all of"),
        ('measured = "x"\n[microseconds]\nhold = 1\n[like]\nget = "confirm"', "not measured"),
        ('measured = "x"\n[microseconds]\nhold = 1\n[like]\nhold = "hold"', "measured itself"),
        ('measured = "x"\n[microseconds]\nhold = "fast"\n[like]', "Expected `float`"),
        ("[microseconds]\n[like]", "measured"),
    ],
)
def test_a_table_of_cpu_with_gaps_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        cpu_of(text)


@pytest.mark.parametrize("text", ['region = "x"', "not toml at all", 'region = "x"\nmore = 1'])
def test_a_tariff_with_gaps_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        tariff_of(text)


def test_every_price_and_limit_says_on_whose_word() -> None:
    tariff = default_tariff()
    for group in (tariff.prices, tariff.limits):
        for name in group.__struct_fields__:
            assert len(getattr(group, name).source) > 10, name


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (replace(QUESTION, requests_per_second=0), "more than 0"),
        (replace(QUESTION, requests_per_second=float("nan")), "more than 0"),
        (replace(QUESTION, requests_per_second=float("inf")), "more than 0"),
        (replace(QUESTION, utilisation_percent=0), "share of a core"),
        (replace(QUESTION, utilisation_percent=101), "share of a core"),
    ],
)
def test_a_question_without_an_answer_is_refused(question: Question, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plan(question)
