import pytest

from firstfault.verify.language import language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat is on the mat and it was not for sale.", "English"),
        ("Die Katze ist nicht auf dem Dach und der Hund auch.", "German"),
        ("Le chat est sur le toit et les chiens ne sont pas dans la maison.", "French"),
        ("El gato está en la casa y los perros no son de ella por la noche.", "Spanish"),
        ("Кошка сидит на крыше", "cyrillic"),
        ("猫在屋顶上", "chinese"),
        ("Paris 1999", None),
        ("", None),
    ],
)
def test_languages(text: str, expected: str | None) -> None:
    assert language(text) == expected
