"""Words for everything that a relay may do."""

from petition.core import relay_report
from petition.mail.relay_errors import RejectionReason, Trouble


def test_every_trouble_has_words() -> None:
    known = {trouble.name.lower(): trouble.value for trouble in Trouble}
    assert {name: relay_report.TROUBLES[name] for name in known} == known
    rejections = {f"rejected_{reason}" for reason in RejectionReason if reason is not RejectionReason.UNREACHABLE}
    assert set(relay_report.TROUBLES) == set(known) | rejections | {"mailbox"}
    assert set(relay_report.REASONS) == {reason.value for reason in RejectionReason}
