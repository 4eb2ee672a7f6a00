#!/usr/bin/env python3
"""Reads a reel with nothing but docs/reel-format.md: a second implementation of the format.

    python3 tools/read_reel.py RUN.reel             totals, checked; exit code 1 where something does not hold
    python3 tools/read_reel.py RUN.reel --events    every event as a line of JSON

Needs the packages msgpack and zstandard.
"""

import json
import os
import struct
import sys

import msgpack
import zstandard

MASK = (1 << 64) - 1
MAGIC = b"\x89FReel\r\n"
SYNC = b"\xf1Rblk\x00\xff\x1a"
END_MARK = b"\xf1end"
PAYLOAD_MAX, DETAILS_MAX, INDEX_MAX = 16 << 20, 2 << 20, 4 << 20
DETAIL_COUNT_MAX, EVENT_COUNT_MAX = 1 << 16, 1 << 20
RUN, SCHEMA, TOPOLOGY, EVENTS, DETAILS, KEYFRAME = 1, 2, 3, 5, 6, 7
INDEX, STATISTICS, GAP, ANNOTATION, SUMMARY, END = 8, 9, 10, 11, 12, 13
COLUMNS = "tsrvdcplanko"


# xxh3-64 with seed 0 (specification of xxHash, section XXH3).
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def u64(data, at):
    return int.from_bytes(data[at : at + 8], "little")


def mum(x, y):
    product = x * y
    return (product & MASK) ^ (product >> 64)


def rotl(x, bits):
    return ((x << bits) | (x >> (64 - bits))) & MASK


def avalanche(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & MASK
    return h ^ (h >> 32)


def avalanche_short(h):
    h ^= h >> 33
    h = h * P64[1] & MASK
    h ^= h >> 29
    h = h * P64[2] & MASK
    return h ^ (h >> 32)


def mix(data, at, key):
    return mum(u64(data, at) ^ u64(SECRET, key), u64(data, at + 8) ^ u64(SECRET, key + 8))


def xxh3_short(data):
    n = len(data)
    if n > 8:
        low = u64(data, 0) ^ u64(SECRET, 24) ^ u64(SECRET, 32)
        high = u64(data, n - 8) ^ u64(SECRET, 40) ^ u64(SECRET, 48)
        swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
        return avalanche((n + swapped + high + mum(low, high)) & MASK)
    if n > 3:
        first, last = struct.unpack("<I", data[:4])[0], struct.unpack("<I", data[n - 4 :])[0]
        h = (last + (first << 32)) ^ u64(SECRET, 8) ^ u64(SECRET, 16)
        h ^= rotl(h, 49) ^ rotl(h, 24)
        h = h * 0x9FB21C651E98DF25 & MASK
        h = (h ^ ((h >> 35) + n)) * 0x9FB21C651E98DF25 & MASK
        return h ^ (h >> 28)
    if n > 0:
        word = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        keys = struct.unpack("<II", SECRET[:8])
        return avalanche_short(word ^ keys[0] ^ keys[1])
    return avalanche_short(u64(SECRET, 56) ^ u64(SECRET, 64))


def xxh3_long(data):
    n = len(data)
    acc = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]]
    keys = struct.unpack("<24Q", SECRET)

    def stripe(at, key):
        for i, value in enumerate(struct.unpack_from("<8Q", data, at)):
            keyed = value ^ key[i]
            acc[i ^ 1] = (acc[i ^ 1] + value) & MASK
            acc[i] = (acc[i] + (keyed & 0xFFFFFFFF) * (keyed >> 32)) & MASK

    blocks = (n - 1) // 1024
    for block in range(blocks):
        for number in range(16):
            stripe(1024 * block + 64 * number, keys[number : number + 8])
        for i in range(8):
            acc[i] = ((acc[i] ^ (acc[i] >> 47)) ^ keys[16 + i]) * P32[0] & MASK
    for number in range((n - 1 - 1024 * blocks) // 64):
        stripe(1024 * blocks + 64 * number, keys[number : number + 8])
    stripe(n - 64, struct.unpack_from("<8Q", SECRET, 121))
    total = n * P64[0] & MASK
    for i in range(4):
        total += mum(acc[2 * i] ^ u64(SECRET, 11 + 16 * i), acc[2 * i + 1] ^ u64(SECRET, 19 + 16 * i))
    return avalanche(total & MASK)


def xxh3(data):
    n = len(data)
    if n <= 16:
        return xxh3_short(data)
    if n > 240:
        return xxh3_long(data)
    total = n * P64[0]
    if n <= 128:
        for i in range((n - 1) // 32, -1, -1):
            total += mix(data, 16 * i, 32 * i) + mix(data, n - 16 * (i + 1), 32 * i + 16)
        return avalanche(total & MASK)
    for i in range(8):
        total += mix(data, 16 * i, 16 * i)
    total = avalanche(total & MASK)
    for i in range(8, n // 16):
        total += mix(data, 16 * i, 16 * (i - 8) + 3)
    return avalanche((total + mix(data, n - 16, 119)) & MASK)


class Damage(Exception):
    """Bytes that are not what they should be."""


def read_header(data, at):
    """The header at `at`: its fields by name, and where payload and block end."""
    head = data[at : at + 96]
    if len(head) < 96 or head[:8] != SYNC:
        raise Damage("no block begins here")
    kind, codec, filter_bytes, stored, raw, count = struct.unpack_from("<BBHIII", head, 8)
    first, first_t, last_t = struct.unpack_from("<QQQ", head, 24)
    payload_sum, header_sum = struct.unpack_from("<QQ", head, 80)
    body = at + 96 + filter_bytes
    if filter_bytes > 2048 or xxh3(head[:88] + data[at + 96 : body]) != header_sum:
        raise Damage("the header's checksum does not match")
    limit = {DETAILS: DETAILS_MAX, INDEX: INDEX_MAX}.get(kind, PAYLOAD_MAX)
    if codec > 1 or stored > limit or raw > limit:
        raise Damage("its codec is not known or its lengths are out of range")
    return {
        "type": kind,
        "codec": codec,
        "raw": raw,
        "count": count,
        "first": first,
        "first_t": first_t,
        "last_t": last_t,
        "sum": payload_sum,
        "body": body,
        "end": body + stored + 8,
    }


def read_payload(data, at, header):
    """The raw payload of the block at `at`."""
    body, end = header["body"], header["end"]
    if end > len(data):
        raise Damage("the block is cut off")
    payload = data[body : end - 8]
    if xxh3(payload) != header["sum"]:
        raise Damage("the payload's checksum does not match")
    if data[end - 8 : end] != struct.pack("<I", end - at) + END_MARK:
        raise Damage("the block's end does not repeat its length")
    if header["codec"] == 1:
        try:
            # What a frame says of its own length would be believed by the library.
            told = zstandard.get_frame_parameters(payload).content_size
            if told not in (header["raw"], zstandard.CONTENTSIZE_UNKNOWN):
                raise Damage("the payload has another length than promised")
            payload = zstandard.ZstdDecompressor().decompress(payload, max_output_size=header["raw"])
        except zstandard.ZstdError as error:
            raise Damage(f"the compressed payload cannot be read: {error}") from error
    if len(payload) != header["raw"]:
        raise Damage("the payload has another length than promised")
    return payload


def read_blocks(data, tell):
    """Every whole block with its offset; stretches that are none go to `tell`, with their header where it is whole."""
    at, is_lost = 40, False
    while at < len(data):
        header = None
        try:
            header = read_header(data, at)
            payload = read_payload(data, at, header)
        except Damage as damage:
            # One stretch is told once, however many false marks are in it.
            if not is_lost or header:
                tell(at, str(damage), header)
            is_lost = True
            at = data.find(SYNC, at + 1)
            if at < 0:
                return
            continue
        is_lost = False
        yield at, header, payload
        at = header["end"]


def unpack(payload):
    try:
        return msgpack.unpackb(payload, strict_map_key=False)
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise Damage(f"the payload is not the MessagePack it should be: {error}") from error


def read_column(data, count):
    encoding, rest = data[0], data[1:]
    if encoding == 0:
        value = 0
        for byte in reversed(rest):
            value = value << 7 | byte & 0x7F
        return [value] * count
    if encoding == 1:
        return list(rest)
    if encoding == 2:
        return list(struct.unpack(f"<{count}H", rest))
    if encoding != 3:
        raise Damage("a column is encoded in an unknown way")
    lengths, at, items = rest[: (count + 1) // 2], (count + 1) // 2, []
    for i in range(count):
        length = lengths[i // 2] >> 4 * (i % 2) & 15
        items.append(int.from_bytes(rest[at : at + length], "little"))
        at += length
    if at != len(rest):
        raise Damage("a column has bytes left over")
    return items


def unzigzag(coded):
    return (coded >> 1) ^ -(coded & 1)


def read_events(header, payload):
    """Tuples in the order of COLUMNS; ids of components as in memory, 65535 for none."""
    if not 0 < header["count"] <= EVENT_COUNT_MAX:
        raise Damage("a batch of no events, or of too many")
    columns = unpack(payload)
    try:
        read = [read_column(columns[key], header["count"]) for key in COLUMNS]
    except (KeyError, IndexError, TypeError, struct.error) as error:
        raise Damage(f"a column is missing or cut off: {error!r}") from error
    if any(len(column) != header["count"] for column in read):
        raise Damage("a column has another length than its batch")
    t, next_seq, request, last_detail, events = header["first_t"], header["first"], 0, 0, []
    for dt, ds, dr, value, dd, component, peer, *rest in zip(*read):
        t = (t + unzigzag(dt)) & MASK
        seq = (next_seq + unzigzag(ds)) & MASK
        next_seq = (seq + 1) & MASK
        request = (request + unzigzag(dr)) & MASK
        detail = 0
        if dd:
            detail = last_detail = last_detail + unzigzag(dd - 1)
        events.append((t, seq, request, value, detail, (component - 1) & 0xFFFF, (peer - 1) & 0xFFFF, *rest))
    is_numbered = all(event[1] == header["first"] + i for i, event in enumerate(events))
    is_timed = all(a[0] <= b[0] for a, b in zip(events, events[1:]))
    if not is_numbered or not is_timed or events[0][0] != header["first_t"] or t != header["last_t"]:
        raise Damage("its events are not those that its header promises")
    return events


KEYS = (
    0x9E3779B97F4A7C15,
    0xBF58476D1CE4E5B9,
    0x94D049BB133111EB,
)


def add_to_hash(state, event):
    a, b = state
    t, seq, request, value, detail, component, peer, klass, attempt, part, kind, outcome = event
    places = detail | component << 32 | peer << 48
    rest = klass | attempt << 16 | part << 32 | kind << 48 | outcome << 56
    x = t ^ seq * KEYS[0] & MASK
    y = request ^ value * KEYS[1] & MASK
    z = places ^ rest * KEYS[2] & MASK
    return (
        mum(a ^ x, b ^ y) ^ z,
        (rotl(b, 29) + ((a + y) & MASK ^ z)) & MASK,
    )


class Reel:
    """What a reel says, put together block by block."""

    def __init__(self, data):
        self.problems, self.gaps = [], []
        self.schema = self.topology = self.summary = None
        self.events = self.next_seq = self.last_t = self.keyframes = self.blocks = self.details = 0
        # Hash over the events, and whether some before here are missing from it.
        self.state, self.is_holed = (0x666C6F777265656C, 0x7265656C666C6F77), False
        # `seq` after the events of a damaged block whose header was whole.
        self.lost_to, self.last_type = None, None
        # Which stretch of its run this is, and whether the run goes on in another reel.
        self.segment, self.continues = None, False
        self.data = data

    def problem(self, offset, text):
        self.problems.append({"offset": offset, "problem": text})

    def damage(self, offset, text, header):
        """A stretch that is no block, or a block whose content is none."""
        self.problem(offset, text)
        if header is None or header["type"] in (EVENTS, GAP):
            self.is_holed = True
        if header and header["type"] == EVENTS:
            self.lost_to = max(self.lost_to or 0, header["first"] + header["count"])

    def missing_up_to(self, seq):
        if seq > self.next_seq:
            self.gaps.append({"first_seq": self.next_seq, "events": seq - self.next_seq})
            self.next_seq, self.is_holed = seq, True

    def read(self):
        """Goes through the blocks; gives the events, each once."""
        for offset, header, payload in read_blocks(self.data, self.damage):
            self.blocks += 1
            self.last_type = header["type"]
            try:
                yield from self.block(offset, header, payload)
            except Damage as damage:
                self.damage(offset, str(damage), header)
        if self.last_type != END:
            self.problem(len(self.data), "the reel has no end")
        self.missing_up_to(self.summary["next_seq"] if self.summary else self.lost_to or 0)
        if self.summary and not self.gaps:
            if (self.summary["events"], tuple(self.summary["final_hash"])) != (self.events, self.state):
                self.problem(0, "the summary does not match the events")

    def block(self, offset, header, payload):
        kind = header["type"]
        if kind == SCHEMA:
            self.schema = unpack(payload)
        elif kind == RUN:
            self.segment = unpack(payload).get("segment")
        elif kind == END:
            self.continues = unpack(payload).get("continues", False)
        elif kind == TOPOLOGY:
            self.topology = self.topology or unpack(payload)
        elif kind == SUMMARY:
            self.summary = unpack(payload)
        elif kind == GAP:
            gap = unpack(payload)
            if gap["first_seq"] is not None and gap["first_seq"] >= self.next_seq:
                self.missing_up_to(gap["first_seq"])
                self.next_seq, self.is_holed = gap["first_seq"] + (gap["events"] or 0), True
            self.gaps.append(gap)
        elif kind == DETAILS:
            records = unpack(payload)
            if len(records) != header["count"] or len(records) > DETAIL_COUNT_MAX:
                raise Damage("detail records are not those that the header promises")
            self.details += len(records)
        elif kind == KEYFRAME:
            self.keyframes += 1
            frame = unpack(payload)
            if self.is_holed and header["first"] >= self.next_seq:
                # Its writer had seen what is missing here.
                self.missing_up_to(header["first"])
                self.state, self.is_holed = tuple(frame["run_hash"]), False
            elif not self.is_holed and tuple(frame["run_hash"]) != self.state:
                self.problem(offset, "the keyframe's run hash differs")
        elif kind == EVENTS:
            events = read_events(header, payload)
            if header["first"] < self.next_seq:
                self.problem(offset, "events are here twice")
                return
            if header["first_t"] < self.last_t:
                raise Damage("time runs backwards")
            self.missing_up_to(header["first"])
            self.lost_to = None
            for event in events:
                self.state = add_to_hash(self.state, event)
                self.events += 1
                yield event
            self.next_seq, self.last_t = header["first"] + header["count"], header["last_t"]


def main(path, wants_events):
    with open(path, "rb") as file:
        data = file.read()
    if data[:8] != MAGIC or len(data) < 40:
        sys.exit(f"{path}: not a reel")
    reel = Reel(data)
    if xxh3(data[:32]) != u64(data, 32):
        reel.problem(0, "the file header's checksum does not match")
    elif struct.unpack_from("<H", data, 8)[0] != 1:
        sys.exit(f"{path}: a newer format version")
    for event in reel.read():
        if wants_events:
            print(json.dumps(named(event, reel.schema, reel.topology)))
    if not wants_events:
        answer = {key: getattr(reel, key) for key in ("events", "blocks", "keyframes", "details", "gaps", "problems")}
        answer["final_hash"] = "%016x%016x" % reel.state
        answer["name"] = reel.topology and reel.topology["name"]
        answer["holds"] = not reel.problems
        if reel.segment:
            answer["segment"] = reel.segment["number"]
        if reel.continues:
            answer["continues"] = True
        print(json.dumps(answer))
    return 1 if reel.problems else 0


def named(event, schema, topology):
    """The event with the field names of the schema, and the names of kind, outcome and components."""
    answer = dict(zip((field for _, field in schema["columns"]), event))
    answer["kind"] = dict(map(tuple, schema["kinds"]))[answer["kind"]]
    answer["outcome"] = dict(map(tuple, schema["outcomes"]))[answer["outcome"]]
    for field in ("component", "peer"):
        known = answer[field] < len(topology["components"])
        answer[field] = topology["components"][answer[field]]["id"] if known else None
    return answer


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--events"]):
        sys.exit("usage: read_reel.py RUN.reel [--events]")
    try:
        sys.exit(main(sys.argv[1], len(sys.argv) == 3))
    except BrokenPipeError:
        # A reader that has gone away (`| head`) is no error; nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
