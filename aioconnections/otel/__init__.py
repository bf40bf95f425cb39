"""Spans and metrics by OpenTelemetry, whose API the extra ``[otel]`` brings.

`settings` is what a caller makes, and needs no extra. `observing` follows the calls, runs and requests of one client as
spans. `metering` holds the instruments, of which a process may have only one set for each meter provider.

No name, attribute or label holds anything about a person: no identity, message, credential or query, and of an
exception only the name of its class.
"""
