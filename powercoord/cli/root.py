# SPDX-License-Identifier: MIT
"""
The root of the command line: global options, and one line for each error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from powercoord.cli.checking import check_config
from powercoord.cli.demo import demo
from powercoord.cli.exits import BAD_INPUT, INTERRUPTED, MEANINGS, NOT_REACHED, exit_code_of, line_of
from powercoord.cli.hold import hold, release
from powercoord.cli.look import drivers, nodes, query, queue, status, watch
from powercoord.cli.past import history, resolve, show
from powercoord.cli.pinning import pin
from powercoord.cli.power import boot, cycle, off, on, reset
from powercoord.cli.session import RealSession, Session
from powercoord.cli.simulate import sim
from powercoord.cli.steer import cancel, drain, resume, shutdown, unpark
from powercoord.errors import PowercoordError


class Root(click.Group):
    """
    A group whose commands return exit codes, and whose errors are one line each.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """
        Run a command line and exit.
        """
        extra["standalone_mode"] = False
        try:
            code = super().main(args, prog_name or "powercoord", **extra)
            sys.stdout.flush()
        except NoArgsIsHelpError as error:
            error.show()
            code = BAD_INPUT
        except click.ClickException as error:
            code = _tell(_usage(error), BAD_INPUT)
        except PowercoordError as error:
            code = _tell(line_of(error), exit_code_of(error))
        except (KeyboardInterrupt, click.Abort):
            code = INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output is gone; the interpreter must not try to write the rest at its end.
            # 1, as click and rich have it where they notice first.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = NOT_REACHED
        sys.exit(code)


def _tell(text: str, code: int) -> int:
    click.echo("\n".join(f"powercoord: {line}" for line in text.splitlines()), err=True)
    return code


def _usage(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    return f"{text} (see '{context.command_path} --help')" if context is not None else text


_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items())


@click.group("powercoord", cls=Root, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--connect",
    metavar="ENDPOINT",
    envvar="POWERCOORD_CONNECT",
    help="The coordinator, as a Twisted client endpoint string. Default: unix:/run/powercoord/amp.sock.",
)
@click.option(
    "--config",
    metavar="FILE",
    envvar="POWERCOORD_CONFIG",
    help="Take endpoint and secret from the coordinator's configuration file.",
)
@click.version_option(package_name="powercoord", prog_name="powercoord")
@click.pass_context
def main(context: click.Context, connect: str | None, config: str | None) -> None:
    """
    Power for many nodes: powercoord VERB NODESET.

    A node set is written as in ClusterShell: 'rack1n[001-100]', 'n1,n2', '@rack1', '@all!n7'. Quote it:
    the shell has uses of its own for brackets.
    """
    session: Session = context.obj or RealSession()
    context.obj = session.using(connect, config)


for command in (
    on,
    off,
    cycle,
    reset,
    boot,
    status,
    query,
    queue,
    watch,
    history,
    show,
    cancel,
    resolve,
    hold,
    release,
    unpark,
    drain,
    resume,
    shutdown,
    nodes,
    drivers,
    check_config,
    pin,
    demo,
    sim,
):
    main.add_command(command)
