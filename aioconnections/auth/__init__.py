"""Credentials, OAuth 2 and cookies."""
