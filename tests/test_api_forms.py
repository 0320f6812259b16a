# SPDX-License-Identifier: MIT
"""
Tests for `powercoord.api.forms` and `powercoord.forms`: what is written is read back as it was.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from powercoord import entries as e
from powercoord.api.arguments import dump
from powercoord.api.forms import (
    MAX_WAITERS,
    action_form,
    action_from,
    node_form,
    numbered_form,
    numbered_from,
    parking_form,
    parking_from,
    record_form,
    record_from,
    wanted_form,
    wanted_from,
)
from powercoord.durable import Numbered, Record
from powercoord.forms import (
    boot_from,
    boot_text,
    event_form,
    event_from,
    outcome_form,
    outcome_from,
    request_form,
    request_from,
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
    Node,
    Observation,
    Phase,
    Policy,
    PowerState,
    Request,
    Superseded,
    Target,
    Unknown,
    Verb,
    Wait,
    Wanted,
)
from powercoord.parking import Cause, Parking
from powercoord.views import ActionView, NodeView
from tests.hypothesis_notes import HypothesisNotes

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.text("abcdef0123456789-", min_size=1, max_size=12)
times = st.datetimes(timezones=st.just(UTC))
seconds = st.floats(0.001, 1e6)
boots = st.builds(Boot, st.sampled_from(BootDevice), st.booleans(), st.none() | st.booleans())
requests = st.builds(
    Request,
    node=words,
    verb=st.sampled_from(Verb),
    request_id=words,
    boot=st.none() | boots,
    escalate=st.booleans(),
    policy=st.sampled_from(Policy),
    wait=st.sampled_from(Wait),
    deadline=st.none() | seconds,
    requester=texts,
    door=texts,
    sequence=st.none() | st.integers(0, 2**63 - 1),
)
outcomes = st.one_of(
    st.builds(Done, st.sampled_from(How), st.sampled_from(PowerState), st.sampled_from(Wait), texts),
    st.builds(Failed, words, texts, st.booleans(), st.none() | seconds),
    st.builds(Superseded, words, st.sampled_from(Verb), st.sampled_from(CancelResult)),
    st.builds(Cancelled, st.sampled_from(CancelResult), texts),
    st.builds(Interrupted, texts),
    st.builds(Unknown, texts),
)
actions = st.builds(
    ActionView,
    id=words,
    node=words,
    verb=st.sampled_from(Verb),
    boot=st.none() | boots,
    phase=st.sampled_from(Phase),
    half=st.sampled_from(["", "on", "off", "soft"]),
    since=times,
    deadline=times,
    waiters=st.lists(requests, max_size=3).map(tuple),
    superseded_by=st.none() | words,
)
holds = st.builds(
    Hold,
    holder=words,
    reason=texts,
    since=times,
    only=st.none() | st.sampled_from(Goal),
    until=st.none() | times,
)
entries = st.one_of(
    st.builds(
        e.Accepted,
        times,
        requests,
        words,
        st.sampled_from(Disposition),
        times,
        st.lists(words, max_size=3).map(tuple),
    ),
    st.builds(e.Entered, times, words, words, st.sampled_from(Phase), words | st.just(""), texts),
    st.builds(e.Followed, times, words, words, words),
    st.builds(e.Ended, times, words, words, outcomes),
    st.builds(e.Answered, times, words, words, words, outcomes),
    st.builds(e.Observed, times, words, st.builds(Observation, st.sampled_from(PowerState), text=texts)),
    st.builds(e.Drifted, times, words, st.sampled_from(Goal), st.sampled_from(PowerState)),
    st.builds(e.Resolved, times, words, words, words, texts),
    st.builds(e.Held, times, words, holds, texts),
    st.builds(e.Released, times, words, words, texts),
    st.builds(e.Parked, times, words, words, st.sampled_from(Cause), texts, times),
    st.builds(e.Unparked, times, words, words, texts, texts),
)
parkings = st.builds(
    Parking,
    endpoint=words,
    cause=st.sampled_from(Cause),
    since=times,
    reason=texts,
    next_try=st.integers(0, 86_400).map(float),
)
wanted = st.builds(
    Wanted,
    goal=st.sampled_from(Goal),
    since=times,
    action=words,
    request_id=words,
    requester=texts,
    door=texts,
    sequence=st.none() | st.integers(0, 2**62),
    escalate=st.booleans(),
)
records = st.builds(
    Record,
    number=st.integers(1, 2**62),
    at=times,
    request=requests,
    action=words,
    disposition=st.sampled_from(Disposition),
    answered=st.none() | times,
    outcome=st.none() | outcomes,
)


def travelled(form: Any) -> Any:
    return json.loads(dump(form))


class RoundTripTests(HypothesisNotes, SynchronousTestCase):
    @given(boots)
    def test_boot(self, boot: Boot) -> None:
        """
        A boot device is one word.
        """
        self.assertEqual(boot, boot_from(boot_text(boot)))

    @given(requests)
    def test_request(self, request: Request) -> None:
        """
        A request is read back as it was.
        """
        self.assertEqual(request, request_from(travelled(request_form(request))))

    @given(outcomes)
    def test_outcome(self, outcome: Any) -> None:
        """
        An outcome of any kind is read back as it was.
        """
        self.assertEqual(outcome, outcome_from(travelled(outcome_form(outcome))))

    @given(actions)
    def test_action(self, action: ActionView) -> None:
        """
        An action is read back as it was.
        """
        self.assertEqual(action, action_from(travelled(action_form(action))))

    @given(entries)
    def test_entry(self, entry: e.Entry) -> None:
        """
        An entry of any kind is read back as it was.
        """
        self.assertEqual(entry, event_from(travelled(event_form(entry))))

    @given(wanted)
    def test_wanted(self, power: Wanted) -> None:
        """
        What is wanted of a node is read back as it was.
        """
        self.assertEqual(power, wanted_from(travelled(wanted_form(power))))

    @given(parkings)
    def test_parking(self, parking: Parking) -> None:
        """
        Why an endpoint is left alone is read back as it was.
        """
        self.assertEqual(parking, parking_from(travelled(parking_form(parking))))

    @given(records)
    def test_record(self, record: Record) -> None:
        """
        A request of the past is read back as it was, answered or not.
        """
        self.assertEqual(record, record_from(travelled(record_form(record))))

    @given(st.builds(Numbered, st.integers(1, 2**62), entries))
    def test_numbered(self, numbered: Numbered) -> None:
        """
        An entry keeps its number.
        """
        self.assertEqual(numbered, numbered_from(travelled(numbered_form(numbered))))


class FormTests(SynchronousTestCase):
    def test_defaults_are_left_out(self) -> None:
        """
        A plain request costs three fields.
        """
        form = request_form(Request(node="n1", verb=Verb.SOFT_OFF, request_id="r1"))

        self.assertEqual({"node": "n1", "verb": "soft-off", "request_id": "r1"}, form)

    def test_no_boot_device(self) -> None:
        """
        A wrong boot device is told what would be right.
        """
        error = self.assertRaises(ValueError, boot_from, "floppy+efi")

        self.assertIn("pxe", str(error))

    def test_crowd(self) -> None:
        """
        An action that a thousand wait for names the first few and counts the others.
        """
        at = datetime(2026, 1, 1, tzinfo=UTC)
        crowd = tuple(Request(node="n1", verb=Verb.ON, request_id=f"r{index}") for index in range(1_000))
        form = action_form(
            ActionView(
                id="a1",
                node="n1",
                verb=Verb.ON,
                boot=None,
                phase=Phase.SENT,
                half="",
                since=at,
                deadline=at,
                waiters=crowd,
            )
        )

        self.assertEqual(MAX_WAITERS, len(form["waiters"]))
        self.assertEqual(1_000 - MAX_WAITERS, form["more_waiters"])

    def test_no_secrets(self) -> None:
        """
        The form of a node holds nothing of what it is reached with.
        """
        node = Node("n1", Target("fake", "10.0.0.1", "", {"password": "hunter2"}), ("rack1",))
        text = dump(node_form(NodeView(node, Observation(PowerState.ON, 1.0), 0.5, None, ())))

        self.assertNotIn(b"hunter2", text)
        self.assertNotIn(b"10.0.0.1", text)
