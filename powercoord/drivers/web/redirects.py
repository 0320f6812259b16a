# SPDX-License-Identifier: MIT
"""
Where an answer sends us, and whether we go there.

Only ever to another path of the same server: who could send us elsewhere could have our password sent there.
"""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from powercoord.drivers.web.place import PORTS, Place
from powercoord.drivers.web.seat import Answer, Ask
from powercoord.errors import PowerRefusedError

#: How often in a row.
MOST = 3

# Whatever the method, as it is. The others would make a GET of a POST, which then does nothing.
_SAME_METHOD = (307, 308)
_ONLY_READS = (301, 302, 303)


def moved(place: Place, ask: Ask, answer: Answer) -> str | None:
    """
    The path to ask again, if the answer says that it is elsewhere.

    :raises PowerRefusedError: it is not for us to go there.
    """
    reading = ask.method in ("GET", "HEAD")
    if answer.status not in _SAME_METHOD and not (reading and answer.status in _ONLY_READS):
        return None
    target = urlsplit(urljoin(place.text + ask.path, answer.header("location")))
    try:
        port = target.port or PORTS.get(target.scheme)
    except ValueError:
        port = None
    if (target.scheme, target.hostname, port) != (place.scheme, place.host, place.port):
        raise PowerRefusedError(
            f"{place.text} sends us to {target.scheme}://{target.hostname}:{port}, where we do not go;"
            " if that is the BMC, set it as its address"
        )
    path = target.path or "/"
    if not answer.header("location") or path + target.query == ask.path:
        raise PowerRefusedError(f"{place.text} sends us from {urlsplit(ask.path).path} to nowhere")
    return f"{path}?{target.query}" if target.query else path
