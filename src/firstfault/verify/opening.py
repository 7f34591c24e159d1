"""Settings in, the verifier they name out: local, a judge at an endpoint, or a hub model."""

from pathlib import Path
from typing import TYPE_CHECKING

from firstfault.errors import ConfigError
from firstfault.verify.calibration import load
from firstfault.verify.local import LocalVerifier, Verifier

if TYPE_CHECKING:
    from firstfault.config import VerifierConfig

CALIBRATION = "verifier_calibration.json"
"""A user's own calibration, in the home."""


def open_local(home: Path | None = None, *, threads: int = 1) -> LocalVerifier:
    """The local verifier, with the home's own calibration when there is one."""
    own = home / CALIBRATION if home is not None else None
    calibration = load(own) if own is not None and own.is_file() else None
    return LocalVerifier(calibration=calibration, threads=threads)


def open_verifier(settings: "VerifierConfig", *, home: Path | None = None, threads: int = 1) -> Verifier:
    """The verifier that the settings name; a judge asks the local one first.

    Raises:
        ConfigError: a judge or a hub model without a name.
    """
    if settings.kind == "local":
        return open_local(home, threads=threads)
    if not settings.model:
        raise ConfigError(f"[verifier] kind = {settings.kind!r} needs a model.", hint="Set [verifier] model.")
    if settings.kind == "openai":
        from firstfault.verify.judge import JudgeVerifier

        first = open_local(home, threads=threads)
        return JudgeVerifier(
            settings.model, base_url=settings.base_url, api_key_env=settings.api_key_env, first=first
        )
    from firstfault.verify.hub import HubVerifier

    return HubVerifier(settings.model)
