"""Alerts that a token leaked and is revoked: for its owner, or for those who administer its robot or the hub."""

from registry.kernel import outbox, policy
from registry.kernel.policy import Caller
from registry.models import Alert, OutboxEvent, User
from registry.talk.alerts import alert_rows, token_reminders


def leaked(event: OutboxEvent) -> None:
    """Alert the people who can make a new token of each that was revoked."""
    for token in event.data["tokens"]:
        owner = User.objects.filter(pk=token["owner"]).first() if token["owner"] else None
        if token["owner"] and owner is None:
            continue  # the account is gone meanwhile, and its tokens with it: nobody makes a new one
        administrators = User.objects.filter(role=User.Role.ADMIN, is_active=True)
        for person in token_reminders.responsible(owner) if owner else administrators:
            robot = owner if owner and owner.is_machine else None
            data = {"token": token["name"], "robot": robot.username if robot else "", "directory": owner is None}
            data |= _place(event, person)
            alert_rows.create([person.pk], Alert.Kind.TOKEN_LEAKED, data=data)


def _place(event: OutboxEvent, person: User) -> dict[str, object]:
    """Return where the token lay, if the person may see that repository."""
    if event.repository is None or not policy.may_see(Caller(user=person), outbox.snapshot(event).as_repository()):
        return {}
    return {"repository": outbox.snapshot(event).full_name, "files": event.data["files"]}
