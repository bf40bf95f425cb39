"""A second opinion: a Connections server for tests, demonstrations and benchmarks, written from the protocol alone."""
