"""Who acts outside: poller, sink, monitor; the only outbound HTTP."""
