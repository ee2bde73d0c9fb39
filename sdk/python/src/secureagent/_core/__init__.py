"""The protocol without input and output: what to send, how to read the answer, what to do then.

An operation is a generator. It yields effects (`effects.py`): "send this request", "read on",
"sleep". A driver carries them out, blocking (`secureagent/_sync`) or not (`secureagent/_aio`), and
sends back what came of it. So retries, resumption and decoding exist once, and are tested without a
network.
"""
