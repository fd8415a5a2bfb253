"""How many codes of a second factor may be tried, without a stranger's attempts keeping the organizer out.

Only someone who reads the organizer's mail can try at all. Each session has a number of attempts, and so have all
sessions of an organizer together; those in a remembered device count by that device alone. Passkeys are not limited.
"""

from petition.core import quotas
from petition.organizers import device_queries
from petition.web.desk.visit import DeskVisit

SESSIONS = 3  # times the limit: attempts of all sessions that run in no remembered device


async def may_try(visit: DeskVisit) -> bool:
    """Count an attempt, committed before anything is compared; return whether the hourly limits allow it."""
    services, limit = visit.services, visit.services.settings.limits.proof
    day = await services.day_keys.today()
    async with visit.database.transaction() as conn:
        device = await device_queries.of_session(conn, visit.organizer.id, visit.session.id)
        if device is not None:
            own = day.hourly("proof-device", device.hex())
            return (await quotas.spend(conn, {own: 1}))[own.key] <= limit
        own, of_all = day.hourly("proof-session", str(visit.session.id)), day.hourly("proof", str(visit.organizer.id))
        spent = await quotas.spend(conn, {own: 1})
        if spent[own.key] > limit:  # attempts that are refused anyway do not count against the other sessions
            return False
        return (await quotas.spend(conn, {of_all: 1}))[of_all.key] <= limit * SESSIONS
