"""Where messages may go. An operator chooses an address, and the console could be made to ask what only it can reach.

A name is resolved here, every address that it leads to is judged, and the connection goes to one that was judged: another
answer of the name server a moment later changes nothing. Nothing is sent before.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings

Address = IPv4Address | IPv6Address

# Where clouds serve credentials or configure machines, besides the link-local addresses: AWS and Google by IPv6, Alibaba,
# Oracle, Azure.
METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")))
NOBODY, THIS_NETWORK = ip_network("240.0.0.0/4"), ip_network("0.0.0.0/8")
NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215: the last 32 bits are an IPv4 address
DISCARD_PORT = 9  # connecting a datagram socket to it sends nothing
PORTS = {"http": 80, "https": 443}


class ForbiddenAddress(OSError):
    """Nothing is sent there. The message is a sentence that says why."""


def explain_forbidden(address: Address, port: int) -> str:
    """Say why nothing is sent to this address, as the end of a sentence; empty when something is."""
    address = unwrap(address)
    if address.is_link_local or address in METADATA:
        return "is an address where clouds serve credentials"
    if address.is_unspecified or address.is_multicast or address in NOBODY or address in THIS_NETWORK:
        return "is not the address of one machine"
    if port == settings.PORT and (address.is_loopback or is_own_address(address)):
        return "is the console's own address"
    if not settings.NOTIFY_PRIVATE_NETWORKS and not address.is_global:
        return "is in a private network, and WINDLASS_NOTIFY_PRIVATE_NETWORKS is off"
    return ""


def unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if found := address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1]):
        return found
    if any(address in network for network in NAT64) or (int(address) >> 32 == 0 and int(address) > 0xFFFF):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_own_address(address: Address) -> bool:
    """Return whether this machine has the address: then the kernel would also send from it. Nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), DISCARD_PORT))
            return ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False


def check_host(host: str, port: int) -> None:
    """Raise ForbiddenAddress if the name is the console's public one: its address may be a proxy's that others share."""
    public = urlsplit(settings.PUBLIC_URL)
    if public.hostname and host.lower().rstrip(".") == public.hostname and port == (public.port or PORTS[public.scheme]):
        raise ForbiddenAddress(f"Nothing was sent: {host} is the console's own address.")


def connect(host: str, port: int, timeout: float | None) -> socket.socket:
    """Return a connection to an address that was judged. `timeout` is in seconds, for each address of the name.

    Raises ForbiddenAddress if any address of the name is forbidden, and OSError if none can be reached."""
    check_host(host, port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for _, _, _, _, where in found:
        address = str(where[0]).partition("%")[0]
        if why := explain_forbidden(ip_address(address), port):
            which = host if host == address else f"{host} leads to {address}, which"
            raise ForbiddenAddress(f"Nothing was sent: {which} {why}.")
    problem: OSError = ConnectionError("it has no address")
    for family, kind, protocol, _, where in found:
        connected = socket.socket(family, kind, protocol)
        try:
            connected.settimeout(timeout)
            connected.connect(where)
        except OSError as error:
            connected.close()
            problem = error
        else:
            return connected
    raise problem
