"""The web: people and programs search what was seen and watch it live.

Enters: HTTP requests; observations and alerts through `Live`, which is a sink that keeps nothing. Leaves: HTML, JSON,
server-sent events, snapshots, health and metrics. May import types, errors, metrics and wire. The store and the text
model come as arguments. Nothing is loaded from elsewhere: style and script are files of this package.
"""

from stream.web.ask import Ask, BadAsk, Found, answer, find, parse_time
from stream.web.groups import Group
from stream.web.health import Check
from stream.web.live import Live
from stream.web.page import page, probes

__all__ = ["Ask", "BadAsk", "Check", "Found", "Group", "Live", "answer", "find", "page", "parse_time", "probes"]
