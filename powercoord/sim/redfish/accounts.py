# SPDX-License-Identifier: MIT
"""
The accounts of a service and their roles (DSP2046). They cannot be changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from powercoord.sim.redfish.documents import Json, collection, link, resource
from powercoord.sim.redfish.profile import ADMINISTRATOR, OPERATOR, READ_ONLY
from powercoord.sim.redfish.service import ROOT, Refused, Service

PATH = f"{ROOT}/AccountService"

#: DSP0266, "Roles": the standard roles and their privileges.
# fmt: off
PRIVILEGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        ADMINISTRATOR: (
            "Login",
            "ConfigureManager",
            "ConfigureUsers",
            "ConfigureComponents",
            "ConfigureSelf",
        ),
        OPERATOR: ("Login", "ConfigureComponents", "ConfigureSelf"),
        READ_ONLY: ("Login", "ConfigureSelf"),
    }
)


def service(_: Service) -> Json:
    """
    Where accounts are.
    """
    return resource(
        PATH,
        "#AccountService.v1_10_0.AccountService",
        "Account service",
        ServiceEnabled=True,
        Accounts=link(f"{PATH}/Accounts"),
        Roles=link(f"{PATH}/Roles"),
    )


def listed(known: Service) -> Json:
    """
    All accounts.
    """
    paths = [f"{PATH}/Accounts/{each.name}" for each in known.profile.accounts]
    return collection(f"{PATH}/Accounts", "ManagerAccountCollection", paths)


def account(known: Service, name: str) -> Json:
    """
    One of them; its password is not told.

    :raises Refused: there is none of that name.
    """
    found = known.profile.account(name)
    if found is None:
        raise Refused(404, "ResourceMissingAtURI", f"{PATH}/Accounts/{name}")
    return resource(
        f"{PATH}/Accounts/{name}",
        "#ManagerAccount.v1_8_0.ManagerAccount",
        f"Account of {name}",
        UserName=name,
        Password=None,
        RoleId=found.role,
        Enabled=True,
        Locked=False,
        AccountTypes=["Redfish"],
        Links={"Role": link(f"{PATH}/Roles/{found.role}")},
    )


def roles() -> Json:
    """
    All roles.
    """
    return collection(f"{PATH}/Roles", "RoleCollection", [f"{PATH}/Roles/{name}" for name in PRIVILEGES])


def role(name: str) -> Json:
    """
    One of them.

    :raises Refused: there is none of that name.
    """
    if name not in PRIVILEGES:
        raise Refused(404, "ResourceMissingAtURI", f"{PATH}/Roles/{name}")
    return resource(
        f"{PATH}/Roles/{name}",
        "#Role.v1_3_1.Role",
        f"{name} role",
        RoleId=name,
        IsPredefined=True,
        AssignedPrivileges=list(PRIVILEGES[name]),
    )
