# SPDX-License-Identifier: MIT
"""
Where the simulated fleets are unless somebody says otherwise. It imports nothing, so that help is quick.
"""

IPMI_BASE, IPMI_PORT = "127.50.0.1", 6230
REDFISH_BASE, REDFISH_PORT = "127.60.0.1", 8443
AMT_BASE, AMT_PORT, AMT_TLS_PORT = "127.70.0.1", 16992, 16993

#: The administrator's password, which everybody knows.
PASSWORD = "secret"  # noqa: S105 - of machines that do not exist
