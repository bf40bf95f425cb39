"""Decides if and when a request is sent. Pure: time and randomness are arguments."""
