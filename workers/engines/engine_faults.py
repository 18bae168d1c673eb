"""The faults of an engine, as its worker sees them; an adapter is never to blame for one of them."""


class EngineFault(Exception):
    """The engine is to blame, never the adapter; the message is one sentence for operators."""


class EngineMissing(EngineFault):
    """No engine can be started here."""


class EngineDied(EngineFault):
    """The engine process ended in the middle of its work."""


class EngineHung(EngineFault):
    """The engine did not answer in time."""


class EngineSlow(EngineFault):
    """The engine is still starting, on a machine that is too busy; it goes on with that, and no work is lost."""


class TrialEnded(EngineFault):
    """The trial of a serving engine crashed, or the machine was too busy for it; the engine itself goes on."""


class EngineLied(EngineFault):
    """The engine said something that its protocol does not allow."""
