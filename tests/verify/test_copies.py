import pytest

from firstfault.verify import verify

TABLE = "| Model | Power | Price |\n|---|---|---|\n| P1 | 450 W | 900 euros |\n| P2 | 700 W | 1,400 euros |"
TANK = "The tank holds less than 2 litres."
SALES = "Sales were flat in 2019. Sales rose by 20% in 2020. In 2021 the firm moved to Leeds."
DESIGN = "Lena Fischer designed it; Omar Haddad tested it."
MOTOR = "The motor must not run dry."
WARRANTY = "The warranty lasts five years and does not cover the filter."
PARTS = "The filter is not included, but the hose is included."
TERMS = "Payment is due within 30 days. Refunds take 14 days."


def reversal(context: str, claim: str) -> float:
    return {s.name: s.value for s in verify([context], claim).signals}["reversed_copy"]


@pytest.mark.parametrize(
    ("context", "claim", "shown"),
    [
        (TANK, "The tank holds more than 2 litres.", "less"),
        ("The valve opens before the pump.", "The valve opens after the pump.", "before"),
        ("Some doors lock at night.", "All doors lock at night.", "Some"),
        (SALES, "Sales rose by 20% in 2021.", "2020"),
        (TERMS, "Payment is due within 14 days.", "30"),
        (TABLE, "P1 costs 1,400 euros.", "900"),
        (TABLE, "P2 has a power of 450 W.", "700"),
        (DESIGN, "Lena Fischer tested it.", "Omar Haddad"),
        (DESIGN, "Omar Haddad designed it.", "Lena Fischer"),
        (MOTOR, "The motor may run dry.", "not"),
        ("The motor may run dry.", "The motor must not run dry.", "may"),
        (WARRANTY, "The warranty covers the filter.", "not"),
        (WARRANTY, "The warranty does not last five years.", "not"),
        (PARTS, "The filter is included.", "not"),
    ],
)
def test_a_copy_that_says_the_opposite_is_not_supported(context: str, claim: str, shown: str) -> None:
    found = verify([context], claim)
    assert found.label == "unsupported"
    assert reversal(context, claim) == 1
    assert shown in found.reason


@pytest.mark.parametrize(
    ("context", "claim"),
    [
        (TANK, TANK),
        (f"{TANK} In summer the tank holds more than 2 litres.", "The tank holds more than 2 litres."),
        ("All doors lock at night.", "Some doors lock at night."),
        ("The motor must run dry.", "The motor may run dry."),
        (SALES, "Sales rose 20% in 2020."),
        (TERMS, "Payment is due within 30 days."),
        (TABLE, "P2 has a power of 700 W."),
        (DESIGN, "Omar Haddad tested it."),
        ("Lena Fischer and Omar Haddad tested it.", "Lena Fischer tested it."),
        (MOTOR, MOTOR),
        (WARRANTY, "The warranty does not cover the filter."),
        (WARRANTY, "The warranty lasts five years."),
        (f"The pump weighs 12500 g. {MOTOR} {WARRANTY}", "The warranty does not cover the filter."),
        (PARTS, "The hose is included."),
        ("If the lamp does not light, press the red button.", "Press the red button."),
    ],
)
def test_what_a_sentence_says_stays_supported(context: str, claim: str) -> None:
    assert verify([context], claim).label == "supported"
    assert reversal(context, claim) == 0


@pytest.mark.parametrize(
    "claim", ["The cistern takes above 2 litres at least.", "More tanks.", "It holds more."]
)
def test_a_free_rewording_is_no_copy(claim: str) -> None:
    assert reversal(TANK, claim) == 0
