"""The audit log in the domain: events are sealed each minute, the head is published each hour; the part of a person."""

from features.audit_log import chain, verbs
from registry.kernel.seams import Feature

FEATURE = Feature(
    every_minute=(chain.seal_waiting,),
    every_hour=(chain.publish,),
    personal_data=lambda user: (("log", verbs.of_person(user)),),
)
