"""The error tree. Imports nothing of ours.

    SeestreamError
    |- Permanent            trying again cannot help: the record becomes a dead letter
    |  |- BadRecord         the record is not what its topic carries (headers, JSON, empty value)
    |  |- BadMedia          the bytes are not a picture or film that can be decoded
    |  |- NotFound          the file an event names is not there any more
    |  |- Forbidden         the file lies outside the allowed roots
    |  |- InferenceFailed   the models cannot answer for this frame (NaN, prompt too long, deadline)
    |- Transient            retry with backoff, and at last stop without acknowledging
    |  |- Unavailable       a service is out of reach
    |  |  |- BrokerUnavailable
    |  |  |- StoreUnavailable
    |  |- DeviceFailed      the accelerator or its session is broken: the process must restart
    |- Misconfigured        settings, model files or the machine: a person must act; ends the command with one line
       |- BadModel          a model file is missing, altered or of another architecture

Permanent errors are about one record, transient ones about the world, `Misconfigured` about the installation.
"""


class SeestreamError(Exception):
    """Root of everything that this project raises on purpose."""


class Permanent(SeestreamError):
    """About one record: trying again cannot help."""


class BadRecord(Permanent):
    """The record is not what its topic carries."""


class BadMedia(Permanent):
    """The bytes are not a picture or film that can be decoded."""


class NotFound(Permanent):
    """The file is not there any more."""


class Forbidden(Permanent):
    """The file lies outside the allowed roots."""


class InferenceFailed(Permanent):
    """The models cannot answer for this frame."""


class Transient(SeestreamError):
    """About the world: retry with backoff, and at last stop without acknowledging."""


class Unavailable(Transient):
    """A service is out of reach."""


class BrokerUnavailable(Unavailable):
    """The Kafka broker is out of reach or refuses to take the record now."""


class StoreUnavailable(Unavailable):
    """The store is out of reach or refuses writes now."""


class DeviceFailed(Transient):
    """The accelerator or its session is broken; only a new process heals it."""


class Misconfigured(SeestreamError):
    """A person must act: settings, model files or the machine."""


class BadModel(Misconfigured):
    """A model file is missing, altered or of another architecture."""
