"""Why a server cannot be used, or how it is best used: each step of the way to it is tried once and judged apart.

`probes`, `sender` and `examination` do what waits; `findings`, `network_verdicts`, `service_verdicts`, `certificates`
and `proposal` are pure: what was found goes in, a `Finding` comes out. Reasons have the words of the errors that the
library raises, so that doctor and a bulk run say the same.

Rules: nothing is changed on the server. No request is sent before the certificate of the server is verified. The login
is sent once, to the URL that was given, and again only after it was accepted. Each step has a deadline, and a step that
depends on a failed one is skipped and says so.
"""
