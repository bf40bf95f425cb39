"""The requests to the server and the meaning of its responses. Pure: no I/O, no clock, no randomness."""
