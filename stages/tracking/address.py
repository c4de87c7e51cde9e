"""Addresses of MLflow's stores: what may be printed of one, and what of the errors that it is part of."""

import re
import socket
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass


class GaveUpError(Exception):
    """A request took too long in all. No OSError, which HTTP libraries answer by trying again."""


def is_server(address: str) -> bool:
    """Whether this is the address of an MLflow server."""
    return bool(re.match("(?i)https?://", address))


def printable(address: str) -> str:
    """The address without what may be a user name or password, of which `/ # ? @` may be parts."""
    if re.match("sqlite:|file:", address):
        return address
    rest = _without_scheme(address)
    credentials, _, place = rest.rpartition("@")
    return address.removesuffix(rest) + ("…" if re.search("[@?#]", credentials + place) else place)


def take_out_credentials(address: str) -> tuple[str, dict[str, str]]:
    """A server's address without its user name and password, and MLflow's environment variables for these.

    MLflow would cut an address at the first `/ # ? @` of a password, and repeat the rest in its errors.
    """
    found = re.fullmatch(r"(https?://)(?![^/@:]*(?::\d+)?/)([^:@]*):?(.*)@([^@]*)", address, re.DOTALL | re.IGNORECASE)
    if not found:
        return address, {}
    user, password = (unquote(part) for part in found.group(2, 3))
    return found[1] + found[4], {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}


def knock(address: str) -> None:
    """Raise OSError where nobody listens, before MLflow is imported for nothing."""
    place = urlsplit(address)
    host, port = place.hostname or "", place.port or (443 if place.scheme == "https" else 80)
    if proxy_bypass(host) or place.scheme not in getproxies():
        socket.create_connection((host, port), timeout=5).close()


def one_line(error: BaseException, address: str) -> str:
    """An error's text in one line, without passwords; the system's own words where it lies at that."""
    chain = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(inner)
    # Such as "Connection refused", deep below what HTTP libraries make of it.
    cause = next((e for e in reversed(chain) if isinstance(e, OSError | GaveUpError)), error)
    text = " ".join(str(cause).split())[:2000] or type(cause).__name__
    if re.match("sqlite:|file:", address):
        return text
    # Whatever a library makes of an address, no piece of what may be a password is repeated.
    userinfo, query = _without_scheme(address).rpartition("@")[0], address.partition("?")[2]
    secrets = re.split(r"[:/@?#&=]+", f"{userinfo}@{query}")
    for secret in {part for piece in secrets for part in (piece, unquote(piece)) if part}:
        if re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", text) or (len(secret) > 3 and secret in text):
            return f"{type(cause).__name__}, whose words may hold the password and are left out"
    return text


def _without_scheme(address: str) -> str:
    return re.sub(r"^[\w+.-]+://", "", address)
