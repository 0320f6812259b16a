# SPDX-License-Identifier: MIT
"""
What a driver may provide beside `powercoord.interfaces.IPowerDriver`: whose certificate a BMC has.
"""

from __future__ import annotations

from attrs import frozen
from zope.interface import Interface

from powercoord.model import Target


@frozen
class ShownCertificate:
    """
    The certificate that a BMC shows.

    :param place: the BMC.
    :param fingerprint: SHA-256, as a setting takes it; :param shown: the same, as people compare it.
    :param subject: whose it says that it is; :param issuer: who signed it; :param ends: the date until which
        it is valid; empty where that cannot be read.
    :param distrust: why it is not trusted now; empty: it is.
    """

    place: str
    fingerprint: str
    shown: str
    subject: str
    issuer: str
    ends: str
    distrust: str


class ICertified(Interface):
    """
    What a driver may provide beside `IPowerDriver`: its BMCs can be told apart by their certificates.
    """

    async def certificate(target: Target) -> ShownCertificate:
        """
        Connect, and see the certificate; nothing else is sent, and no password ever.

        :raises PowerConnError: nobody showed one.
        :raises PowerSettingError: by its settings the BMC is spoken to without.
        """
