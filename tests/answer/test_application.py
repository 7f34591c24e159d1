import pytest

from firstfault.answer import Application
from firstfault.errors import ConfigError


def opened(app: Application) -> object:
    generator = app.generator(app.settings.generator)
    assert generator is not None
    return generator


def test_closing_frees_a_generator_that_never_ran(application: Application) -> None:
    generator = opened(application)
    application.close()
    with pytest.raises(ConfigError, match="was closed"):
        generator.count_tokens("x")  # type: ignore[attr-defined]
    application.close()


async def test_closing_inside_an_event_loop_frees_it_too(application: Application) -> None:
    generator = opened(application)
    application.close()
    with pytest.raises(ConfigError, match="was closed"):
        generator.count_tokens("x")  # type: ignore[attr-defined]
