"""seestream: camera frames and uploaded files on Kafka become searchable, alertable, reproducible descriptions.

The rooms, in the order an event passes them: capture, consume, decode, gate, infer, rules, sinks, web. `app` wires them.
"""

__version__ = "0.1.0"
