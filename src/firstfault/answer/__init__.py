"""The answer path: a question in, a verified, cited answer and its trace out."""

from firstfault.answer.application import Application
from firstfault.answer.ask import ask
from firstfault.answer.replay import replay
from firstfault.answer.search import search

__all__ = ["Application", "ask", "replay", "search"]
