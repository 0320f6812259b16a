# SPDX-License-Identifier: MIT
"""
Guests of libvirt: its own protocol spoken natively, and the virsh program where that cannot be.
"""

__all__: list[str] = []
