# SPDX-License-Identifier: MIT
"""
How a request ended for each node, in words, as an exit code and as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from powercoord.cli.exits import NOT_KNOWN, NOT_REACHED, REACHED, worst
from powercoord.errors import PowercoordError
from powercoord.folding import fold, natural
from powercoord.model import Cancelled, Done, Failed, How, Interrupted, Outcome, Superseded, Unknown

if TYPE_CHECKING:  # at run time it would import Twisted
    from powercoord.client import Accepted


@frozen
class Result:
    """
    What became of one node's request: refused, ended, or (neither) going on.
    """

    node: str
    accepted: Accepted | None = None
    refused: PowercoordError | None = None
    outcome: Outcome | None = None

    @property
    def word(self) -> str:
        """
        The one word for it.
        """
        if self.refused is not None:
            return "refused"
        return "accepted" if self.outcome is None else type(self.outcome).__name__.lower()

    @property
    def exit_code(self) -> int:
        """
        What it contributes to the exit code.
        """
        if isinstance(self.outcome, Interrupted | Unknown):
            return NOT_KNOWN
        good = self.refused is None and isinstance(self.outcome, Done | None)
        return REACHED if good else NOT_REACHED

    @property
    def reason(self) -> str:
        """
        What there is to say about it.
        """
        if self.refused is not None:
            # Nodes that are refused for the same reason share a row.
            return str(self.refused).removeprefix(f"{self.node}: ") or self.refused.code
        return describe(self.outcome)


@frozen
class Row:
    """
    All nodes for which the same is to be said.
    """

    word: str
    reason: str
    exit_code: int
    nodes: tuple[str, ...]

    @property
    def folded(self) -> str:
        """
        The nodes as a node set.
        """
        return fold(self.nodes)


_HOW = {
    How.ALREADY: "was {state} already",
    How.GRACEFUL: "seen {state}, by its operating system",
    How.FORCED: "seen {state}, forced",
    How.COMMANDED: "seen {state}",
    How.EXTERNAL: "seen {state}, by somebody else",
}


def describe(outcome: Outcome | None) -> str:
    """
    An outcome in words.
    """
    match outcome:
        case None:
            return "the coordinator does it"
        case Done(how=how, state=state, text=text):
            return _HOW[how].format(state=state.value) + (f" ({text})" if text else "")
        case Failed(code=code, text=text):
            return f"{code}: {text}"
        case Superseded(verb=verb, by=by):
            return f"somebody asked for {verb.value} instead (action {by})"
        case Cancelled(by=by, cancel=cancel):
            return f"{cancel.value}, by {by or 'somebody'}"
        case Interrupted(text=text) | Unknown(text=text):
            return text


def rows(results: Iterable[Result]) -> tuple[Row, ...]:
    """
    One row for each thing there is to say, good news first.
    """
    alike: dict[tuple[int, str, str], list[str]] = {}
    for result in results:
        alike.setdefault((result.exit_code, result.word, result.reason), []).append(result.node)
    return tuple(
        Row(word, reason, code, tuple(sorted(nodes, key=natural)))
        for (code, word, reason), nodes in sorted(alike.items(), key=_good_first)
    )


def exit_code(results: Iterable[Result]) -> int:
    """
    The exit code for all nodes together.
    """
    return worst(result.exit_code for result in results)


def document(verb: str, results: Sequence[Result]) -> dict[str, Any]:
    """
    The JSON document for programs.
    """
    counts: dict[str, int] = {}
    for result in results:
        counts[result.word] = counts.get(result.word, 0) + 1
    return {
        "verb": verb,
        "ok": exit_code(results) == REACHED,
        "counts": counts,
        "nodes": [_form(result) for result in results],
    }


def _form(result: Result) -> dict[str, Any]:
    from powercoord.api.forms import accepted_form
    from powercoord.forms import outcome_form

    form: dict[str, Any] = {"node": result.node}
    if result.accepted is not None:
        answer = result.accepted
        form |= {"request_id": answer.request_id}
        form |= accepted_form(answer.action, answer.disposition, answer.superseded, answer.deadline)
    if result.refused is not None:
        error = result.refused
        form |= {"outcome": "refused", "code": error.code, "text": str(error), "retryable": error.retryable}
    elif result.outcome is not None:
        form |= outcome_form(result.outcome)
    return form


def _good_first(item: tuple[tuple[int, str, str], list[str]]) -> tuple[int, str, tuple[object, ...]]:
    (code, word, _), nodes = item
    return ((REACHED, NOT_KNOWN, NOT_REACHED).index(code), word, natural(nodes[0]))
