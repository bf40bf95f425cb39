"""What is said to the server, and what its answers mean. Pure: no I/O, no clock, no chance."""
