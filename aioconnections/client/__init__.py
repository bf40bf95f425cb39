"""The client and its resources."""

from aioconnections.client.administration import Administration
from aioconnections.client.client import Client
from aioconnections.client.communities import Community, CommunityInvitations
from aioconnections.client.items import Invite
from aioconnections.client.server import Timeouts

__all__ = ["Administration", "Client", "Community", "CommunityInvitations", "Invite", "Timeouts"]
