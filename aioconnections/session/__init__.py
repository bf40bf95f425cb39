"""The session of one signed-in user: the login, the conversations, and when each request may start."""
