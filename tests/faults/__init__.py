"""The fault suite: real faults on a real broker and a real store, and an oracle over topics, store and ledger.

`python -m tests.faults [--only NAME] [--records N] [--seed S]` runs one fault or all of them. The workers are the
product's own process with only the models replaced by ones whose answers are known, so that delivery is tested and not
vision. One node cannot show replication, leader election or a lost disk: those are Kafka's and are not claimed here.
"""
