"""What several processes share: one rate, the pauses of the server, and refused logins.

`settings`, and with it Redis, is imported only for a client that shares.
"""

from aioconnections.shared.state import Here, InProcess, SharedState

__all__ = ["Here", "InProcess", "SharedState"]
