# SPDX-License-Identifier: MIT
"""
What can go wrong, as a small tree that tells the caller what to do about it.

The class name is the stable code on the wire (``code``); ``retryable`` says
whether the same thing may work later.  The docstring's first sentence is what
an operator may read; the instance's text names the thing, the reason and what
would be right.  No text ever carries a secret.
"""

from __future__ import annotations

from typing import ClassVar


class PowercoordError(Exception):
    """
    Something of ours went wrong.
    """

    retryable: ClassVar[bool] = False

    @property
    def code(self) -> str:
        """
        The stable name of this error on every wire.
        """
        return type(self).__name__


class PowerError(PowercoordError):
    """
    A driver could not do what was asked.

    :param sent: whether a power-changing request may have reached the BMC
        without its answer reaching us; then only a read can tell.
    """

    retryable = True

    def __init__(self, text: str, *, sent: bool = False) -> None:
        super().__init__(text)
        self.sent = sent


class PowerConnError(PowerError):
    """
    Could not contact the node's BMC.
    """


class PowerActionError(PowerError):
    """
    The BMC could not do it just now.
    """


class PowerFatalError(PowerError):
    """
    Trying again will not help.
    """

    retryable = False


class PowerSettingError(PowerFatalError):
    """
    Missing or invalid power setting.
    """


class PowerToolError(PowerFatalError):
    """
    Missing power tool.
    """


class PowerAuthError(PowerFatalError):
    """
    Could not authenticate to the node's BMC; not tried again, accounts lock.
    """


class PowerRefusedError(PowerFatalError):
    """
    The BMC said no.
    """


class PowerParkedError(PowerError):
    """
    The node's BMC is left alone for a while, because it does not answer us; nothing was sent.

    :param passing: whether time alone may mend it; a refused password it does not.
    """

    def __init__(self, text: str, *, passing: bool = True) -> None:
        super().__init__(text)
        self.passing = passing


class PowerUnverified(PowerError):
    """
    The BMC accepted the command, and the wanted state was not seen in time.
    """


class PowerUnsupportedError(PowerFatalError):
    """
    The driver or the BMC cannot do this at all.
    """


class PowerRequirementError(PowerError):
    """
    A node is not what another one needs it to be; the other one's power was not touched.
    """


class OperationCancelled(PowercoordError):
    """
    A driver stopped an operation because it was asked to; it is quiet now.

    :param sent: as in `PowerError`.
    """

    def __init__(self, text: str = "cancelled", *, sent: bool = False) -> None:
        super().__init__(text)
        self.sent = sent


class RequestRefused(PowercoordError):
    """
    A request was not accepted, and nothing was changed by it.
    """


class BadRequest(RequestRefused):
    """
    The request makes no sense as it stands.
    """


class NoSuchNode(RequestRefused):
    """
    No node of that name is known here.
    """


class UnknownPowerType(RequestRefused):
    """
    No driver of that name is installed.
    """


class NoSuchAction(RequestRefused):
    """
    No action of that id is known here.
    """


class PowerActionFail(RequestRefused):
    """
    The power action failed, or can only fail.
    """


class PowerActionAlreadyInProgress(RequestRefused):
    """
    The node is busy, and the caller asked to be refused in that case.
    """

    retryable = True


class Stale(RequestRefused):
    """
    A request with a higher sequence was accepted before.
    """


class Held(RequestRefused):
    """
    Somebody holds the node, and it is not to be changed before that is released.
    """

    retryable = True


class StillRequired(RequestRefused):
    """
    The node carries others that are on, or not known to be off.
    """

    retryable = True


class Draining(RequestRefused):
    """
    The coordinator takes no new work just now.
    """

    retryable = True


class JournalUnavailable(RequestRefused):
    """
    The journal cannot be written, so nothing new is started.
    """

    retryable = True


class ConfigError(PowercoordError):
    """
    The configuration is wrong; every mistake is named with file, line and key.
    """
