"""Messages: an incident in; a webhook, a Slack-compatible webhook and mail out, each with retries.

Secrets come from the environment variables that the settings name, and never stand in errors.
"""

import json
import os
import smtplib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal

from firstfault.config import MonitorConfig
from firstfault.errors import ConfigError, FirstfaultError, RemoteError
from firstfault.monitor.incidents import Incident

TIMEOUT_S = 10.0
TRIES = 3

Event = Literal["opened", "changed", "resolved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What people are told about an incident."""

    event: Event
    incident: Incident
    subject: str
    """One line."""
    text: str
    """Plain text, with what to run next."""


def compose(event: Event, incident: Incident, link: str | None) -> Message:
    """Write a message; `link` is the address under which people reach the pages."""
    head = {"opened": "FIRING", "changed": "CHANGED", "resolved": "RESOLVED"}[event]
    fault = incident.stage + (f" / {incident.cause}" if incident.cause else "")
    subject = f"[{head}] {incident.collection}: {incident.title} (first fault: {fault})"
    lines = [
        incident.summary,
        "",
        f"First fault: {fault} ({'diagnosed' if incident.proven else 'by the rules that fire'})",
        f"Evidence: {incident.evidence}",
        *(f"Changed: {change}" for change in incident.changes),
        f"Next: {incident.next_command}",
        f"Incident: firstfault incident {incident.id}",
        *([f"{link.rstrip('/')}/ui/incidents/{incident.id}"] if link else []),
    ]
    return Message(event=event, incident=incident, subject=subject, text="\n".join(lines))


Send = Callable[[Message], None]


def open_channels(settings: MonitorConfig) -> dict[str, Send]:
    """The channels that the settings name.

    Raises:
        ConfigError: an environment variable that should hold a secret is empty, or mail lacks an address.
    """
    found: dict[str, Send] = {}
    if settings.webhook_env:
        url = _secret(settings.webhook_env, "monitor.webhook_env")
        found["webhook"] = lambda message: _post(url, _document(message))
    if settings.slack_env:
        slack = _secret(settings.slack_env, "monitor.slack_env")
        found["slack"] = lambda message: _post(slack, {"text": f"*{message.subject}*\n{message.text}"})
    if settings.smtp_host:
        if not settings.email_from or not settings.email_to:
            raise ConfigError(
                "monitor.smtp_host is set, and sender or recipients are not.",
                hint="Set monitor.email_from and monitor.email_to.",
            )
        password = (
            _secret(settings.smtp_password_env, "monitor.smtp_password_env") if settings.smtp_user else ""
        )
        found["email"] = lambda message: _mail(message, settings, password)
    return found


def deliver(channels: dict[str, Send], message: Message, *, tries: int = TRIES) -> list[str]:
    """Send a message through every channel, with retries. Returns what could not be delivered, and why."""
    import stamina

    failed = []
    for name, send in channels.items():
        try:
            for attempt in stamina.retry_context(
                on=_is_transient, attempts=tries, timeout=60.0, wait_initial=0.2, wait_max=5.0
            ):
                with attempt:
                    send(message)
        except FirstfaultError as error:
            failed.append(f"{name}: {error.message}")
    return failed


def _is_transient(error: Exception) -> bool:
    return isinstance(error, RemoteError) and error.transient


def _secret(variable: str, setting: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise ConfigError(
            f"The environment variable {variable or '(none)'} is empty, and {setting} needs it.",
            hint=f"Set it where the monitor runs, or change {setting}.",
        )
    return value


def _document(message: Message) -> dict[str, object]:
    incident = message.incident
    return {
        "event": message.event,
        "subject": message.subject,
        "text": message.text,
        "incident": {
            "id": incident.id,
            "at": incident.at,
            "began": incident.began,
            "collection": incident.collection,
            "state": incident.state,
            "stage": incident.stage,
            "cause": incident.cause,
            "proven": incident.proven,
            "title": incident.title,
            "summary": incident.summary,
            "evidence": incident.evidence,
            "rules": list(incident.rules),
            "traces": list(incident.traces),
            "changes": list(incident.changes),
            "next_command": incident.next_command,
        },
    }


def _post(url: str, document: dict[str, object]) -> None:
    if not url.startswith(("https://", "http://")):
        raise ConfigError(
            "The address of a webhook is not http(s).", hint="Correct the environment variable."
        )
    request = urllib.request.Request(  # noqa: S310 - checked above
        url,
        data=json.dumps(document).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "firstfault"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            response.read(1024)
    except urllib.error.HTTPError as error:
        error.close()
        raise RemoteError(
            f"the endpoint answered {error.code}",
            hint="Check its address and whether it still takes messages.",
            transient=error.code == 429 or error.code >= 500,
        ) from None
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise RemoteError(
            f"the endpoint cannot be reached ({type(reason).__name__})",
            hint="Check its address and the network.",
            transient=True,
        ) from None


def _mail(message: Message, settings: MonitorConfig, password: str) -> None:
    assert settings.smtp_host
    mail = EmailMessage()
    mail["Subject"] = " ".join(message.subject.split())
    mail["From"] = settings.email_from
    mail["To"] = settings.email_to
    mail.set_content(message.text)
    kind = smtplib.SMTP_SSL if settings.smtp_port == 465 else smtplib.SMTP
    try:
        with kind(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_S) as server:
            if kind is smtplib.SMTP:
                server.ehlo()
                if server.has_extn("starttls"):
                    server.starttls()
                    server.ehlo()
            if settings.smtp_user:
                server.login(settings.smtp_user, password)
            server.send_message(mail)
    except smtplib.SMTPAuthenticationError:
        raise RemoteError(
            "the mail server refused the login", hint="Check monitor.smtp_user and its password."
        ) from None
    except (smtplib.SMTPException, OSError) as error:
        raise RemoteError(
            f"the mail server failed ({type(error).__name__})",
            hint="Check monitor.smtp_host and monitor.smtp_port.",
            transient=True,
        ) from None
