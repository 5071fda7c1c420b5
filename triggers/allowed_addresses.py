"""The addresses and networks from which a trigger's link can be called, as people write them and as a row keeps them."""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

ADDRESSES_MAXIMUM = 50
MAPPED = IPv6Network("::ffff:0:0/96")  # IPv4 within IPv6: RFC 4291, 2.5.5.2
SEPARATORS = re.compile(r"[\s,;]+")
TEXT_LENGTH = 4000  # characters: fifty of the longest, with room for blanks


class BadAddress(ValueError):
    """A text that is no list of addresses. The message says which part of it, and why."""


def normalize_addresses(text: str) -> str:
    """Return the list as a row keeps it: one a line, each once, in the one form in which two ways of writing it are equal.
    Parts of `text` are separated by line ends, blanks, commas or semicolons. Raises BadAddress."""
    if len(text) > TEXT_LENGTH:
        raise BadAddress(f"At most {TEXT_LENGTH} characters.")
    return join_networks(parse_network(part) for part in SEPARATORS.split(text) if part)


def join_networks(networks: Iterable[Network]) -> str:
    """Raises BadAddress if they are too many."""
    shown = list(dict.fromkeys(map(show_network, networks)))
    if len(shown) > ADDRESSES_MAXIMUM:
        raise BadAddress(f"At most {ADDRESSES_MAXIMUM} addresses and networks; these are {len(shown)}.")
    return "\n".join(shown)


def parse_network(text: str) -> Network:
    """Return the network of `192.0.2.1`, `192.0.2.0/24`, `2001:db8::1` or `2001:db8::/32`. A caller's IPv4 within IPv6 counts
    as IPv4, and so does such a network. Raises BadAddress."""
    try:
        network = ip_network(text, strict=False)
        if "%" in text:  # a zone names an interface of one machine alone
            raise ValueError
    except ValueError as error:
        raise BadAddress(f"'{text[:60]}' is neither an address nor a network, such as 192.0.2.1 or 192.0.2.0/24.") from error
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        low = int(network.network_address) & 0xFFFFFFFF
        return IPv4Network((low, network.prefixlen - 96))
    return network


def show_network(network: Network) -> str:
    """Return `192.0.2.1` for a network of one address, else `192.0.2.0/24`."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


@lru_cache(maxsize=256)
def read_networks(kept: str) -> tuple[Network, ...]:
    """Return the networks of a list as a row keeps it."""
    return tuple(map(parse_network, kept.split()))


def is_allowed(kept: str, address: str | None) -> bool:
    """Return whether a caller with this address, as clusters.callers gives it, is on the list. Nobody without one is."""
    if not address:
        return False
    caller = ip_address(address)
    return any(caller in network for network in read_networks(kept))
