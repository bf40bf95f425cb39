"""What one signed-in user says and hears: the login, the conversations, and when each request may start."""
