from firstfault.drill.scenes import SCENES, places


def test_a_mark_tears_no_quote() -> None:
    text = "One two three four. Five six."
    quotes = {"a": ["One two three"], "b": ["two three four"], "c": ["Five six"], "d": ["One two three"]}
    found = places(text, quotes)
    assert found == [(20, "c"), (0, "d"), (0, "b"), (0, "a")]


def test_a_quote_that_is_not_there_has_no_place() -> None:
    assert places("One two.", {"a": ["three"]}) == []


def test_scenes_are_declared_under_their_names() -> None:
    assert all(name == scene.name for name, scene in SCENES.items())
