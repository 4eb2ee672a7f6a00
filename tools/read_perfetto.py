#!/usr/bin/env python3
"""Reads a Perfetto trace with Perfetto's own message definitions and says what is in it.

    python3 tools/read_perfetto.py RUN.perfetto     totals as JSON; exit code 1 where something does not hold

Needs the packages perfetto and protobuf.
"""

import json
import sys
from collections import Counter

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent


def main(path):
    trace = Trace()
    with open(path, "rb") as file:
        trace.ParseFromString(file.read())
    tracks, problems = {}, []
    open_slices, slices, outcomes, levels = Counter(), Counter(), Counter(), {}
    last_ns = 0
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            if track.parent_uuid and track.parent_uuid not in tracks:
                problems.append(f"track {track.uuid} has an unknown parent")
            tracks[track.uuid] = track
        elif packet.HasField("track_event"):
            event = packet.track_event
            if packet.timestamp < last_ns:
                problems.append(f"time runs backwards at {packet.timestamp}")
            last_ns = packet.timestamp
            if event.track_uuid not in tracks:
                problems.append(f"an event on the unknown track {event.track_uuid}")
                continue
            name = tracks[event.track_uuid].name
            if event.type == TrackEvent.TYPE_SLICE_BEGIN:
                open_slices[event.track_uuid] += 1
                if open_slices[event.track_uuid] > 1:
                    problems.append(f"visits overlap on one lane of {name} at {packet.timestamp}")
                slices[name] += 1
                notes = {note.name: note for note in event.debug_annotations}
                notes["request"].uint_value
            elif event.type == TrackEvent.TYPE_SLICE_END:
                open_slices[event.track_uuid] -= 1
                notes = {note.name: note for note in event.debug_annotations}
                outcomes[notes["outcome"].string_value] += 1
                if open_slices[event.track_uuid] < 0:
                    problems.append(f"an end without a begin on {name} at {packet.timestamp}")
            elif event.type == TrackEvent.TYPE_COUNTER:
                if not tracks[event.track_uuid].HasField("counter"):
                    problems.append(f"a counter on {name}, which counts nothing")
                levels[name] = event.counter_value
        else:
            problems.append("a packet of another kind")
    if any(open_slices.values()):
        problems.append("a visit has no end")
    if any(levels.values()):
        problems.append("a counter does not come back to 0")
    answer = {"slices": sum(slices.values()), "by_track": dict(sorted(slices.items()))}
    answer |= {"outcomes": dict(sorted(outcomes.items())), "tracks": len(tracks)}
    print(json.dumps(answer | {"problems": problems, "holds": not problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: read_perfetto.py RUN.perfetto")
    sys.exit(main(sys.argv[1]))
