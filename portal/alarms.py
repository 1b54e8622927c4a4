"""One look for what is amiss: alarms are recorded and told, the day's line is mailed."""

from datetime import datetime
from functools import partial

from portal import notify
from portal.actions.alarms import keep_watch, tell_what_changed
from portal.actions.daily_line import mail_lines
from portal.config import Settings
from portal.core.watching import QueueSeen
from portal.mail import send_mail


def look_for_alarms(settings: Settings, queue: QueueSeen, now: datetime) -> None:
    keep_watch(queue, settings.can_send, now)
    if settings.alarm_urls:
        tell_what_changed(partial(notify.tell, settings.alarm_urls), settings.public_url, now)
    if settings.smtp_url:
        mail_lines(partial(send_mail, settings.smtp_url), settings.public_url, now)
