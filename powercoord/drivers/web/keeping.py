# SPDX-License-Identifier: MIT
"""
For how long a server will keep a connection, as its answer says (RFC 9112, 9.3 and 9.6).

Twisted takes only the very word ``close`` for one. Who says ``Close``, or speaks HTTP 1.0, closes just when
the next request leaves, and then nobody knows whether a change has arrived.
"""

from __future__ import annotations

import re
from math import inf

_FIELD = re.compile(rb"^(connection|keep-alive):[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_TIMEOUT = re.compile(rb"timeout[ \t]*=[ \t]*(\d{1,6})", re.IGNORECASE)

#: What an answer may take to come here, so that it is not used at the last moment.
_MARGIN = 0.5


def kept_for(head: bytes) -> float:
    """
    Seconds for which a connection may be used after an answer that began so; 0: not at all.
    """
    head = head.partition(b"\r\n\r\n")[0]
    fields = [(name.lower(), value) for name, value in _FIELD.findall(head)]
    words = {
        word.strip().lower() for name, value in fields if name == b"connection" for word in value.split(b",")
    }
    if b"close" in words or (head.startswith(b"HTTP/1.0") and b"keep-alive" not in words):
        return 0.0
    limits = [_TIMEOUT.search(value) for name, value in fields if name == b"keep-alive"]
    return min((max(0.0, int(each[1]) - _MARGIN) for each in limits if each), default=inf)
