# SPDX-License-Identifier: MIT
"""
Entries of a few nodes, actions and requests, in any order, sense or nonsense.
"""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from powercoord.entries import (
    Accepted,
    Answered,
    Drifted,
    Ended,
    Entered,
    Entry,
    Followed,
    Held,
    Observed,
    Parked,
    Released,
    Resolved,
    Unparked,
)
from powercoord.holds import Hold
from powercoord.model import (
    Boot,
    BootDevice,
    Cancelled,
    CancelResult,
    Disposition,
    Done,
    Failed,
    Goal,
    How,
    Interrupted,
    Observation,
    Outcome,
    Phase,
    Policy,
    PowerState,
    Request,
    Superseded,
    Unknown,
    Verb,
    Wait,
)
from powercoord.parking import Cause

NODES = st.sampled_from(["n1", "n2", "ä-[1]"])
ACTIONS = st.sampled_from(["a1", "a2", "a3", "a4"])
IDS = st.sampled_from(["r1", "r2", "r3", "r4", "q'\"\\5"])
TEXTS = st.text(max_size=8)
HALVES = st.sampled_from(["", "off", "on", "soft", "boot"])
TIMES = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone itself
    datetime(2026, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
BOOTS = st.builds(Boot, st.sampled_from(BootDevice), st.booleans(), st.none() | st.booleans())
REQUESTS = st.builds(
    Request,
    node=NODES,
    verb=st.sampled_from(Verb),
    request_id=IDS,
    boot=st.none() | BOOTS,
    escalate=st.booleans(),
    policy=st.sampled_from(Policy),
    wait=st.sampled_from(Wait),
    deadline=st.none() | st.floats(0.5, 1e6),
    requester=TEXTS,
    door=st.sampled_from(["", "amp", "cli", "enforce"]),
    sequence=st.none() | st.integers(0, 1 << 40),
)
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Done, st.sampled_from(How), st.sampled_from(PowerState), st.sampled_from(Wait), TEXTS),
    st.builds(Failed, st.just("PowerConnError"), TEXTS, st.booleans(), st.none() | st.floats(0, 1e6)),
    st.builds(Superseded, ACTIONS, st.sampled_from(Verb), st.sampled_from(CancelResult)),
    st.builds(Cancelled, st.sampled_from(CancelResult), TEXTS),
    st.builds(Interrupted, TEXTS),
    st.builds(Unknown, TEXTS),
)
ENDPOINTS = st.sampled_from(["10.0.0.1", "10.0.0.2:[623]", "q'\"\\5"])
HOLDERS = st.sampled_from(["ann", "bob", "q'\"\\5"])
HOLDS = st.builds(
    Hold,
    holder=HOLDERS,
    reason=TEXTS,
    since=TIMES,
    only=st.none() | st.sampled_from(Goal),
    until=st.none() | TIMES,
)
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.builds(
        Accepted,
        TIMES,
        REQUESTS,
        ACTIONS,
        st.sampled_from(Disposition),
        TIMES,
        st.lists(ACTIONS, max_size=2, unique=True).map(tuple),
    ),
    st.builds(Entered, TIMES, NODES, ACTIONS, st.sampled_from(Phase), HALVES, TEXTS),
    st.builds(Followed, TIMES, NODES, IDS, ACTIONS),
    st.builds(Ended, TIMES, NODES, ACTIONS, OUTCOMES),
    st.builds(Answered, TIMES, NODES, IDS, ACTIONS, OUTCOMES),
    st.builds(Observed, TIMES, NODES, st.builds(Observation, st.sampled_from(PowerState), text=TEXTS)),
    st.builds(Drifted, TIMES, NODES, st.sampled_from(Goal), st.sampled_from(PowerState)),
    st.builds(Resolved, TIMES, NODES, ACTIONS, TEXTS, TEXTS),
    st.builds(Held, TIMES, NODES, HOLDS, TEXTS),
    st.builds(Released, TIMES, NODES, HOLDERS, TEXTS),
    st.builds(
        Parked,
        TIMES,
        NODES,
        ENDPOINTS,
        st.sampled_from(Cause),
        TEXTS,
        TIMES,
        st.none() | TIMES,
        st.sampled_from(["", "a1b2c3"]),
    ),
    st.builds(Unparked, TIMES, NODES, ENDPOINTS, TEXTS, TEXTS),
)
APPENDS = st.lists(st.lists(ENTRIES, max_size=4), max_size=8)
LIVES = st.lists(APPENDS, min_size=1, max_size=3)
