"""The answer path: a question in, a verified, cited answer and its trace out.

`Application` is the door. Inside an event loop, await `firstfault.answer.ask.ask` instead of its `ask`.
"""

from firstfault.answer.application import Application

__all__ = ["Application"]
