"""The brokers: the embedded one, Apache Kafka from its own jars, and what we ask of any of them."""
