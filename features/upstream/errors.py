"""The refusals of reading from other hubs."""

from registry.kernel.errors import AccessRequired, Forbidden, Unavailable, WrongElsewhere


class UpstreamUnavailable(Unavailable):
    """Another hub, from which repositories are read here, does not answer."""

    code = "upstream-unavailable"
    default_fix = "Try again in a minute; what was read here before is still served."
    retry_seconds = 30


class UpstreamArriving(Unavailable):
    """An adapter of another hub that a worker is about to record here, so that it can be proven."""

    code = "upstream-arriving"
    default_fix = "Ask again in some seconds."


class UpstreamWrong(WrongElsewhere):
    """Another hub answered something that cannot be right."""

    code = "upstream-wrong"
    default_fix = "Tell the administrator of this hub: nothing of that answer was kept."


class UpstreamRefused(Forbidden):
    """The rules of this hub keep a repository of another hub from being read here."""

    code = "upstream-refused"
    default_fix = "Ask the administrator of this hub."


class UpstreamGated(AccessRequired, UpstreamRefused):
    """Another hub gives it to some people alone."""

    code = "upstream-gated"
    default_fix = UpstreamRefused.default_fix
