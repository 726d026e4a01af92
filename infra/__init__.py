"""Where it runs: settings, telemetry, the store, the brokers."""
