"""A name server of our own on loopback: answers for what it was given, counts what it was asked."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """``records`` are by (name, type), each a list of texts; SERVFAIL in place of a list, or None for silence."""

    records: dict[tuple[str, str], list[str] | str | None]
    asked: Counter[str] = field(default_factory=Counter)
    port: int = 0
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked[name] += 1
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        known = self.records.get((name, kind), [])
        if known is None:
            return
        if isinstance(known, str):
            answer.set_rcode(dns.rcode.from_text(known))
        elif known:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *known))
        elif not any(name == one for one, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        assert self.transport is not None
        self.transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def answering(records: Mapping[tuple[str, str], list[str] | str | None]) -> AsyncIterator[NameServer]:
    """Run a name server."""
    root: dict[tuple[str, str], list[str] | str | None] = {(".", "NS"): ["a.root-servers.net."]}
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer({**root, **records}), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
