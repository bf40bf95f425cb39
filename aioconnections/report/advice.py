"""What to do about a failure, by the class of its error."""

from __future__ import annotations

from aioconnections import errors

__all__ = ["advice_for"]

_BY_OUTCOME = {
    "in_doubt": "The change may have been made. Run the same command with the same journal again: it verifies each of "
    "these items before anything is sent again.",
    "unprocessed": "Nothing was sent for these items. Run the same command with the same journal again, or use "
    "--retry with the result.",
}
_BY_ERROR = {
    "InvalidInputError": "Correct the row in the input: the message says which value cannot be sent.",
    "ConnectFailedError": "Check the host name, the port and the network, then run again.",
    "CertificateError": "Pass the CA certificate of the server with --ca-file, or have its certificate renewed.",
    "ProxyError": "Check the proxy in the environment and its login; NO_PROXY leaves it out.",
    "LocalLimitError": "Raise the limit of open files (ulimit -n), or lower --max-connections.",
    "DeadlineError": "Run again. If it persists, lower --max-connections, or raise --attempt-timeout.",
    "ProtocolError": "Run again. If it persists, look for a proxy or load balancer that cuts connections.",
    "TransportError": "No complete response arrived. Run again.",
    "BadRequestError": "The server found these items invalid; most often it does not know a person. Check the ids.",
    "AuthenticationError": "Check the user and the password, then run again. Repeated attempts may lock the account.",
    "ForbiddenError": "The signed-in user is not allowed to do this. Use another login, or ask an administrator.",
    "NotFoundError": "The person or the entry does not exist. Check the id, and whether the account is active.",
    "ThrottledError": "The server limits requests. Lower --max-per-second, then run again.",
    "ServerError": "The server failed. Run again later; if it persists, its administrator finds the time in the log.",
    "ForeignResponseError": "The response is not from Connections. Check the URL and what is in front of the server.",
    "UnexpectedResponseError": "The response is not one of Profiles. Check the URL and its version.",
    "ResponseError": "The server refused the request; the message says why.",
    "ServerUnavailableError": "The server was away for too long. Run again when it responds, with a longer "
    "--max-outage if outages last longer.",
    "SharedStoreError": "Check the store that --shared names, then run again.",
    "OverloadedError": "Too many calls waited. Run again with fewer at a time.",
    "InDoubtError": _BY_OUTCOME["in_doubt"],
    "AtomError": "The document of the server is malformed. Run again; if it persists, report it to its administrator.",
    "InconsistentListsError": "Lists and checks disagreed. Run again with --plan head.",
    "IncompleteListError": "The list changed while it was read, or the server left out entries. Run again.",
    "JournalDiskError": "Free space on the disk of the journal, then run again.",
    "JournalError": "The message says what is wrong with the journal.",
    "ClusterError": "Check the scheduler and the workers of the cluster, then run again.",
    "UsageError": "The program was used in a way that cannot work; the message says how.",
    "ConnectionsError": "The message says why. Run again.",
}


def advice_for(outcome: str, error: str | None) -> str:
    """What to do about items with this outcome, whose error has a class of this name."""
    if outcome in _BY_OUTCOME:
        return _BY_OUTCOME[outcome]
    kind = getattr(errors, error or "", None)
    for base in kind.__mro__ if isinstance(kind, type) else ():
        if base.__name__ in _BY_ERROR:
            return _BY_ERROR[base.__name__]
    return _BY_ERROR["ConnectionsError"]
