"""Shared fixtures: nothing may reach a model hub, and the real models are pulled once."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

from hypothesis import settings

settings.register_profile("firstfault", deadline=None)
settings.load_profile("firstfault")
