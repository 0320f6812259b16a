# SPDX-License-Identifier: MIT
"""
How a coordinator is: what it would tell a person at three in the morning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from attrs import define, evolve, field, frozen

from powercoord.forms import Form
from powercoord.interfaces import IRegistry
from powercoord.stages import Drain, ILifecycle, Source, Stage


@frozen(kw_only=True)
class Health:
    """
    Whether a coordinator takes new changes, and what keeps it.

    :param pending: how many actions are in play or waiting.
    :param draining: why it takes none, in one line; None if it does.
    :param drain: the same with who and since when, where that is known.
    :param stop_requested: whether the process is going to end.
    :param trouble: why it could take none even if it would.
    :param broken_drivers: those that are installed and do not work, with the reason; told by `Status` alone.
    """

    stage: Stage
    pending: int
    draining: str | None = None
    drain: Drain | None = None
    stop_requested: bool = False
    trouble: str | None = None
    broken_drivers: Mapping[str, str] = field(factory=dict)

    @property
    def accepting(self) -> bool:
        """
        Whether a change that is asked for now would be accepted.
        """
        return self.stage is Stage.SERVING and self.draining is None and self.trouble is None

    @property
    def ready_to_stop(self) -> bool:
        """
        Whether nothing would be interrupted by a stop.
        """
        return self.stage in (Stage.DRAINED, Stage.STOPPING) and not self.pending


def health(registry: IRegistry, lifecycle: ILifecycle | None) -> Health:
    """
    How it is now.
    """
    if lifecycle is not None:
        return Health(
            stage=lifecycle.stage,
            pending=lifecycle.pending,
            draining=registry.draining,
            drain=lifecycle.drain,
            stop_requested=lifecycle.stop_requested,
            trouble=lifecycle.trouble or registry.trouble,
        )
    pending = sum((view.in_play is not None) + len(view.waiting) for view in registry.busy())
    resting = Stage.DRAINING if pending else Stage.DRAINED
    stage = Stage.SERVING if registry.draining is None else resting
    return Health(stage=stage, pending=pending, draining=registry.draining, trouble=registry.trouble)


@define(eq=False)
class Changes:
    """
    Tells a listener how a coordinator is, whenever that is another thing than before.

    How many actions are pending changes all the time, and is not told.
    """

    _registry: IRegistry
    _lifecycle: ILifecycle
    _listener: Callable[[Health], None]
    _told: Health = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._told = self._now()
        self._lifecycle.watch(self._look)

    def _now(self) -> Health:
        return health(self._registry, self._lifecycle)

    def _look(self) -> None:
        now = self._now()
        before, self._told = self._told, now
        if evolve(now, pending=before.pending) != before:
            self._listener(now)


def health_form(it: Health) -> Form:
    """
    Its JSON form, as `health_from` reads it.
    """
    form: Form = {
        "stage": it.stage.value,
        "accepting": it.accepting,
        "pending": it.pending,
        "ready_to_stop": it.ready_to_stop,
        "stop_requested": it.stop_requested,
    }
    for name in ("draining", "trouble"):
        if (value := getattr(it, name)) is not None:
            form[name] = value
    if it.broken_drivers:
        form["broken_drivers"] = dict(it.broken_drivers)
    if it.drain is not None:
        since, source = it.drain.since.isoformat(), it.drain.source.value
        form["drain"] = {"since": since, "reason": it.drain.reason, "by": it.drain.by, "source": source}
    return form


def health_from(form: Form) -> Health:
    """
    What a form says.
    """
    drain = form.get("drain")
    return Health(
        stage=Stage(form["stage"]),
        pending=form["pending"],
        draining=form.get("draining"),
        drain=None if drain is None else _drain(drain),
        stop_requested=form.get("stop_requested", False),
        trouble=form.get("trouble"),
        broken_drivers=form.get("broken_drivers", {}),
    )


def _drain(form: Form) -> Drain:
    since, source = datetime.fromisoformat(form["since"]), Source(form["source"])
    return Drain(since=since, reason=form["reason"], by=form["by"], source=source)


def why_not(it: Health) -> str | None:
    """
    Why nothing new is accepted, in one line; None if it is.
    """
    if it.accepting:
        return None
    return it.draining or it.trouble or f"it is {it.stage.value}"
