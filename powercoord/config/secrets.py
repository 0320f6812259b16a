# SPDX-License-Identifier: MIT
"""
Secrets that stand somewhere else than in the configuration file.

``{ file = "ipmi.password" }`` is the first line of a file, relative to the
configuration's; ``{ env = "NAME" }`` an environment variable.  No message here
carries a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field, frozen

from powercoord.config.mistakes import Findings
from powercoord.nearest import nearest
from powercoord.strict import Path, kind_of

_FORMS = '{ file = "..." } or { env = "..." }'


@frozen
class SecretFile:
    """
    What a secret's file holds, and whether anybody on the machine can read it.
    """

    text: str = field(repr=False)
    open_to_all: bool = False


@frozen
class Surroundings:
    """
    What a configuration may refer to.

    :param read_secret: reads a file named relative to the configuration; may
        raise OSError or UnicodeDecodeError.
    """

    read_secret: Callable[[str], SecretFile]
    environment: Mapping[str, str] = field(repr=False)


def resolve(value: object, path: Path, secret: bool, around: Surroundings, findings: Findings) -> object:
    """
    The string that a reference refers to; anything else as it is.

    ``None`` means that it could not be had, and that this has been noted.
    """
    if isinstance(value, dict):
        return _follow(value, path, secret, around, findings)
    if secret and isinstance(value, str) and value:
        findings.warn(path, f"a secret in the configuration file; better is {_FORMS}")
    return value


def _follow(
    value: dict[str, object], path: Path, secret: bool, around: Surroundings, findings: Findings
) -> str | None:
    (form, name), *others = value.items() or [("", "")]
    if others or form not in ("file", "env"):
        findings.mistake(path, f"expected a string, {_FORMS}")
    elif not isinstance(name, str):
        findings.mistake((*path, form), f"expected a string, got {kind_of(name)}")
    elif form == "env":
        return _from_environment(name, (*path, form), around, findings)
    else:
        return _from_file(name, (*path, form), secret, around, findings)
    return None


def _from_environment(name: str, path: Path, around: Surroundings, findings: Findings) -> str | None:
    value = around.environment.get(name)
    if value is None:
        near = nearest(name, around.environment)
        findings.mistake(
            path, f"environment variable '{name}' is not set" + (f"; did you mean '{near}'?" if near else "")
        )
    return value


def _from_file(name: str, path: Path, secret: bool, around: Surroundings, findings: Findings) -> str | None:
    try:
        found = around.read_secret(name)
    except OSError as error:
        findings.mistake(path, f"cannot read '{error.filename or name}': {error.strerror or error}")
        return None
    except UnicodeDecodeError:
        findings.mistake(path, f"'{name}' is not UTF-8 text")
        return None
    line = found.text.partition("\n")[0].removesuffix("\r")
    if not line:
        findings.mistake(path, f"'{name}' is empty; its first line must hold the value")
        return None
    if secret and found.open_to_all:
        findings.warn(path, f"'{name}' can be read by everybody on this machine; chmod o-rwx it")
    return line
