"""All rules over all sources: matches become alerts, at most one in a cool-down, the same one when asked again."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from stream import metrics, wire
from stream.errors import Misconfigured
from stream.rules.parse import parse_rules
from stream.rules.rule import Rule
from stream.types import Alert, Detection, Observation

_VERSION = 1


class _Past:
    """When one rule alerted for one source: the latest `limit` times in the order they were noted, also by time."""

    __slots__ = ("_by_time", "_limit", "_noted")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._noted: OrderedDict[datetime, None] = OrderedDict()
        self._by_time: list[datetime] = []

    def note(self, when: datetime) -> None:
        if when in self._noted:
            self._noted.move_to_end(when)
            return
        self._noted[when] = None
        insort(self._by_time, when)
        if len(self._noted) > self._limit:
            # The one noted first goes, not the oldest: a film from 2019 that is read now needs its own times.
            oldest, _ = self._noted.popitem(last=False)
            del self._by_time[bisect_left(self._by_time, oldest)]

    def allows(self, when: datetime, cool_down: timedelta) -> bool:
        """Whether this is one of the noted times, or `cool_down` away from each of them, before and after."""
        place = bisect_left(self._by_time, when)
        around = self._by_time[max(0, place - 1) : place + 1]
        return all(other == when or abs(when - other) >= cool_down for other in around)

    @property
    def times(self) -> list[datetime]:
        """In the order they were noted."""
        return list(self._noted)


class Rules:
    """Call `apply` in capture order per source, from one thread at a time.

    Two alerts of one rule for one source are never closer than the rule's cool-down in *capture* time, before or after:
    so what is delivered again, late, or by a camera whose clock jumped cannot alert twice. An observation that alerted
    gives the same alert again. Memory is bounded: `memory` observations that matched, `times` alerts for each rule and
    source, `pairs` pairs of rule and source; what was not used for longest is forgotten first.
    """

    def __init__(self, rules: Sequence[Rule] = (), *, memory: int = 4096, times: int = 64, pairs: int = 20_000) -> None:
        self.rules = tuple(rules)
        self._memory, self._times, self._pairs = memory, times, pairs
        self._answers: OrderedDict[str, tuple[Alert, ...]] = OrderedDict()
        self._past: OrderedDict[tuple[str, str], _Past] = OrderedDict()

    @classmethod
    def load(cls, source: str | Path | Sequence[Mapping[str, Any]]) -> Rules:
        """From YAML text, a YAML file (a `Path`) or mappings. Raises: Misconfigured with one line for each fault."""
        return cls(parse_rules(source))

    def apply(self, observation: Observation) -> list[Alert]:
        """The alerts this observation gives, in the rules' order; the same ones whenever it comes again."""
        known = self._answers.get(observation.id)
        if known is not None:
            self._answers.move_to_end(observation.id)
            return list(known)
        matches = [(rule, *rule.match(observation)) for rule in self.rules]
        found = [(rule, item) for rule, matched, item in matches if matched]
        alerts = [self._alert(rule, item, observation) for rule, item in found if self._is_due(rule, observation)]
        if found:
            self._answers[observation.id] = tuple(alerts)
            if len(self._answers) > self._memory:
                self._answers.popitem(last=False)
        for alert in alerts:
            metrics.ALERTS.labels(alert.rule).inc()
        return alerts

    def remember(self, alerts: Iterable[Alert]) -> None:
        """Alerts that were raised before, by this process or another: read from the `alerts` topic when it starts or
        takes a source over, so that cool-downs go on. Of rules that are gone: ignored."""
        cooling = {rule.name for rule in self.rules if rule.cool_down_s > 0}
        for alert in alerts:
            if alert.rule in cooling:
                self._note(alert.rule, alert.source, alert.captured_at)

    def state(self) -> bytes:
        """What `restore` takes up after a restart, as JSON. Save it after `apply` and before the event is settled."""
        past = [
            [rule, source, [when.astimezone(UTC).isoformat() for when in past.times]]
            for (rule, source), past in self._past.items()
        ]
        return orjson.dumps({"version": _VERSION, "alerts": past})

    def restore(self, state: bytes) -> None:
        """Takes up an earlier `state`; what belongs to rules that are gone is left out.

        Raises: Misconfigured when the bytes are no state of this version: delete the file, cool-downs start afresh.
        """
        try:
            data = orjson.loads(state)
            if data["version"] != _VERSION:
                raise ValueError(f"version {data['version']!r}")
            past = [
                (str(rule), str(source), [datetime.fromisoformat(when).astimezone(UTC) for when in times])
                for rule, source, times in data["alerts"]
            ]
        except (ValueError, TypeError, KeyError) as error:
            raise Misconfigured(
                f"the rules' state is damaged ({error}): delete it and cool-downs start afresh"
            ) from error
        names = {rule.name for rule in self.rules}
        for rule, source, times in past:
            for when in times if rule in names else ():
                self._note(rule, source, when)

    @property
    def longest_cool_down_s(self) -> float:
        """How far back alerts still matter: what `remember` needs of the `alerts` topic."""
        return max((rule.cool_down_s for rule in self.rules), default=0.0)

    def unwatched(self, sources: Iterable[str]) -> list[str]:
        """Names of the rules that watch none of these sources: most likely a typing error, for `seestream check`."""
        names = list(sources)
        return [rule.name for rule in self.rules if not any(rule.watches(name) for name in names)]

    def _is_due(self, rule: Rule, observation: Observation) -> bool:
        """Whether no other alert is within the cool-down; notes this one if so."""
        if rule.cool_down_s <= 0:
            return True
        past = self._past.get((rule.name, observation.source))
        cool_down = timedelta(seconds=rule.cool_down_s)
        if past is not None and not past.allows(observation.captured_at, cool_down):
            return False
        self._note(rule.name, observation.source, observation.captured_at)
        return True

    def _note(self, rule: str, source: str, when: datetime) -> None:
        past = self._past.setdefault((rule, source), _Past(self._times))
        self._past.move_to_end((rule, source))
        past.note(when)
        if len(self._past) > self._pairs:
            self._past.popitem(last=False)

    @staticmethod
    def _alert(rule: Rule, item: Detection | None, observation: Observation) -> Alert:
        return Alert(
            id=wire.alert_id(rule.name, observation.source, observation.captured_at),
            rule=rule.name,
            source=observation.source,
            captured_at=observation.captured_at,
            observation=observation.id,
            message=rule.text(observation, item),
            label=item.label if item else None,
            score=item.score if item else None,
            box=item.box if item else None,
            snapshot=observation.snapshot,
            demo=observation.provenance.demo,
        )
