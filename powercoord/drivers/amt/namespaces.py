# SPDX-License-Identifier: MIT
"""
The names that WS-Management, CIM and Intel gave to things.

DSP0226 (WS-Management) sections 5 and 7, DSP0230 (CIM's classes as resources), and Intel's AMT SDK.
"""

#: SOAP 1.2, WS-Addressing (2004), WS-Management.
SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
ANONYMOUS = ADDRESSING + "/role/anonymous"

#: WS-Transfer's actions.
GET = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"
PUT = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Put"

_CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
_AMT = "http://intel.com/wbem/wscim/1/amt-schema/1/"
_IPS = "http://intel.com/wbem/wscim/1/ips-schema/1/"

#: The classes that we speak to, by their resource URI, which is their namespace, too.
ASSOCIATED_POWER = _CIM + "CIM_AssociatedPowerManagementService"
POWER_SERVICE = _CIM + "CIM_PowerManagementService"
COMPUTER_SYSTEM = _CIM + "CIM_ComputerSystem"
BOOT_CONFIG = _CIM + "CIM_BootConfigSetting"
BOOT_SERVICE = _CIM + "CIM_BootService"
BOOT_SOURCE = _CIM + "CIM_BootSourceSetting"
BOOT_CAPABILITIES = _AMT + "AMT_BootCapabilities"
BOOT_SETTINGS = _AMT + "AMT_BootSettingData"
STANDBY_SERVICE = _IPS + "IPS_PowerManagementService"


def class_name(resource: str) -> str:
    """
    A class by the name that people know it under.
    """
    return resource.rpartition("/")[2]
