"""Typed ids: the database's numbers, kept apart by the type checker so that one is never passed for another."""

from typing import NewType

LetterId = NewType("LetterId", int)
SignatureId = NewType("SignatureId", int)  # of pending signatures as well: confirming keeps the id
OrganizationId = NewType("OrganizationId", int)
OrganizerId = NewType("OrganizerId", int)
SessionId = NewType("SessionId", int)
InvitationId = NewType("InvitationId", int)
BulkActId = NewType("BulkActId", int)
LogId = NewType("LogId", int)  # of a row of the audit log
NoteId = NewType("NoteId", int)
MessageId = NewType("MessageId", int)  # between the organizers and a representative
UpdateId = NewType("UpdateId", int)
MailingId = NewType("MailingId", int)  # of an update on its way to its subscribers
PartnerId = NewType("PartnerId", int)
EmployerId = NewType("EmployerId", int)  # whose employees sign without their names
PictureId = NewType("PictureId", int)
WitnessId = NewType("WitnessId", int)  # of a partner that cosigns checkpoints
TallyId = NewType("TallyId", int)
AddresseeId = NewType("AddresseeId", int)
ResponseId = NewType("ResponseId", int)  # of a delivery or an answer
AnswerId = NewType("AnswerId", int)  # of what an addressee sent by its link
JobId = NewType("JobId", int)  # of a row of the outbox
QuestionId = NewType("QuestionId", int)  # of an audit: random, and of no signature
