"""The client: every verb is a few lines on a conversation of `protocol`, one module per family of verbs."""

from aioconnections.client.administration import Administration
from aioconnections.client.client import Client
from aioconnections.client.communities import Community
from aioconnections.client.verbs import Invite

__all__ = ["Administration", "Client", "Community", "Invite"]
