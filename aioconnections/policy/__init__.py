"""Whether and when something is said. Pure: the time comes in as an argument, and so does chance."""
