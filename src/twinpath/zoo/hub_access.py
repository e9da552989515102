"""Whether the Hugging Face Hub has a file, found out by one request: its own library retries for minutes.

Needs huggingface_hub, which is imported when it is called.
"""

from __future__ import annotations

import os

import httpx

_TIMEOUT_S = 10.0
_REFUSED = {401, 403, 404}


def why_not_there(repository: str, file: str, revision: str = "main") -> str | None:
    """Why a file of a repository cannot be had; None: it can.

    Args:
        repository: "user/name".
        file: Its path in the repository.
        revision: A branch, a tag or a commit.
    """
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    token = get_token()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"{endpoint()}/{repository}/resolve/{revision}/{file}"
    try:
        answer = httpx.head(url, headers=headers, timeout=_TIMEOUT_S, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return first_line(error)
    if answer.status_code in _REFUSED:
        return f"there is no such model, or it needs a login: HTTP {answer.status_code}"
    if answer.status_code >= 400:
        return f"HTTP {answer.status_code}"
    return None


def endpoint() -> str:
    """Where the Hub is: HF_ENDPOINT, as it is now, or the public one."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def first_line(error: Exception) -> str:
    """The first line of a message that may have many, or the name of the error."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
