"""Addresses of cameras and servers: whether a text is one, and how to print it without its secrets.

    mask_secrets("cannot open rtsp://joe:secret@cam/live?token=1")    # "cannot open rtsp://***@cam/live?***"
    is_address("rtsp:/joe:secret@cam/live")                           # True

Users, passwords, queries and fragments are secrets. Masking is generous: where it is not clear whether a
part is a password, it is masked.
"""

from __future__ import annotations

import re

from twinpath.escapes import printable

_SCHEMES = (
    "rtsp|rtsps|rtspu|rtspt|rtmp|rtmps|rtmpt|rtmpe|http|https|ws|wss|ftp|ftps|sftp|srt|udp|rtp|srtp|tcp|tls|"
    "mms|mmsh|mmst|onvif|smb|nfs|s3|gs|hls|icecast|socks4|socks4a|socks5|socks5h"
)
#: A scheme with two slashes; or a known one with fewer, since paths drop a slash, or without its colon; or an
#: unknown one with one slash before a user and a password.
_START = re.compile(
    rf"(?<![\w+.])(?P<scheme>[a-z][a-z0-9+.-]+:[/\\]{{2,}}|(?:{_SCHEMES})(?:;?[/\\]{{2,}}|:[/\\]?|/(?=[^\s/:@]+:[^\s@]*@))"
    r"|(?<![/\\])[a-z][a-z0-9+.-]+:[/\\](?=[^\s/\\:@]+:[^\s@]*@))",
    re.IGNORECASE,
)
#: Without a scheme: joe:secret@cam/live; a drive of Windows is none.
_LOGIN = re.compile(r"^(?![a-z]:[/\\])[^:@\s]+:.*@(?=[\w\[])", re.DOTALL | re.IGNORECASE)
_IPV6 = re.compile(r"\[[0-9a-f:.%]+\](:\d*)?", re.IGNORECASE)
_KEYS = re.compile(
    r"(?P<key>(?:user(?:name)?|usr|login|pass(?:word|wd)?|pwd|psw|token|secret|auth|key|sig(?:nature)?)=)"
    r"[^&?#/\\\s]*",
    re.IGNORECASE,
)
_END_OF_SENTENCE = re.compile(r"[;:,.!?)\]}'\"’”»>]*$")
_WORD = re.compile(r"\S+")
#: A user and a password that holds white space: what follows the colon is no port.
_OPEN_LOGIN = re.compile(r"[^\s@:/?#\[]+:(?!\d+(?:[/?#;,.\s]|$))[^\s@]+\s[^@]*@\S*")


def is_address(text: str) -> bool:
    """Whether a text is an address and not the name of a file: a scheme with two slashes, or a known one.

    A drive of Windows ("C:/a.mp4") is none. A file may have such a name; ask the file system first.
    """
    return _START.match(text) is not None


def mask_secrets(text: str) -> str:
    """A text with "***" for the users, passwords, queries and fragments of all addresses in it.

    An address ends at white space, or behind the next "@" where its password seems to hold some. For a text
    that is one address, see `mask_address`.
    """
    masked, position = [], 0
    while (start := _START.search(text, position)) is not None:
        word = _OPEN_LOGIN.match(text, start.end()) or _WORD.match(text, start.end())
        rest = word[0] if word else ""
        tail = _END_OF_SENTENCE.search(rest)
        ending = tail[0] if tail else ""
        masked += [text[position : start.end()], _masked(rest.removesuffix(ending)), ending]
        position = start.end() + len(rest)
    return "".join([*masked, text[position:]])


def mask_address(address: str) -> str:
    """An address, in any spelling, without secrets and on one line. Other texts only become one line.

    Args:
        address: The whole text is one address; its password may hold white space. It may lack the scheme:
            "joe:secret@cam/live".
    """
    start = _START.match(address)
    if start is not None:
        shown = start["scheme"] + _masked(address[start.end() :])
    else:
        shown = _LOGIN.sub("***@", address, count=1)
    return printable(shown)


def _masked(rest: str) -> str:
    """What follows the scheme, without secrets."""
    authority = re.split(r"[/\\?#]", rest, maxsplit=1)[0]
    # A password may hold "/", "?", "#" and "@", so that it ends at the last "@".
    is_host = _IPV6.fullmatch(authority) is not None or ":" not in authority
    if "@" in rest and ("@" in authority or not is_host):
        rest = "***@" + rest.rpartition("@")[2]
    rest = re.sub(r"\?.+", "?***", rest, flags=re.DOTALL)
    rest = re.sub(r"#.+", "#***", rest, flags=re.DOTALL)
    return _KEYS.sub(r"\g<key>***", rest)
