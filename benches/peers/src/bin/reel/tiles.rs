//! Events of the live demonstration's kind, as many as wanted: its recording, many times side by side.
//!
//! Belongs here: laying copies of one recording over each other. Does not belong here: measuring.
//!
//! Each copy begins at its own time, waits its own times (every gap of the recording is stretched by 0.8 to
//! 1.25) and has requests of its own, so neither times nor order repeat. Where a copy ends, another begins.

use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{DetailId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::ReelReader;
use flowreel_peers::Random;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::path::Path;

/// Copies side by side: some 40,000 events a second of the run.
const COPIES: usize = 256;

struct Copy {
    at: usize,
    t_ns: u64,
    first_request: u64,
}

/// An endless run.
pub struct Tiles {
    recorded: Vec<StageEvent>,
    requests: u64,
    copies: Vec<Copy>,
    next: BinaryHeap<Reverse<(u64, usize)>>,
    random: Random,
    seq: u64,
    begun: u64,
}

impl Tiles {
    /// Copies of the reel at `path`, and its map.
    pub fn new(path: &Path) -> (Topology, Self) {
        let mut reader = ReelReader::open(path).expect("the shipped recording opens");
        let mut recorded = Vec::new();
        let mut batch = Vec::new();
        for position in 0..reader.event_blocks().len() {
            reader
                .read_events(position, &mut batch)
                .expect("it can be read");
            recorded.append(&mut batch);
        }
        // Those that the recording's end cut off would pile up, copy after copy.
        let is_end = |event: &&StageEvent| event.kind == EventKind::RequestFinished;
        let finished: HashSet<RequestId> = recorded
            .iter()
            .filter(is_end)
            .map(|event| event.request)
            .collect();
        recorded
            .retain(|event| event.request == RequestId::NONE || finished.contains(&event.request));
        let requests = recorded
            .iter()
            .map(|event| event.request.0)
            .max()
            .expect("it has events");
        let mut this = Self {
            recorded,
            requests,
            copies: Vec::new(),
            next: BinaryHeap::new(),
            random: Random::new(1),
            seq: 0,
            begun: 0,
        };
        let length_ns = this.recorded.last().expect("it has events").t_ns.0 as f64;
        for place in 0..COPIES {
            let t_ns = (this.random.uniform() * length_ns) as u64;
            let copy = this.begin(t_ns);
            this.copies.push(copy);
            this.next.push(Reverse((t_ns, place)));
        }
        (reader.topology().clone(), this)
    }

    fn begin(&mut self, t_ns: u64) -> Copy {
        self.begun += 1;
        Copy {
            at: 0,
            t_ns,
            first_request: (self.begun - 1) * self.requests,
        }
    }
}

impl Iterator for Tiles {
    type Item = StageEvent;

    fn next(&mut self) -> Option<StageEvent> {
        let Reverse((t_ns, place)) = self.next.pop()?;
        let copy = &self.copies[place];
        let mut event = self.recorded[copy.at];
        event.t_ns = TimeNs(t_ns);
        event.seq = self.seq;
        event.detail = DetailId::NONE;
        if event.request != RequestId::NONE {
            event.request.0 += copy.first_request;
        }
        self.seq += 1;
        if copy.at + 1 == self.recorded.len() {
            self.copies[place] = self.begin(t_ns);
        } else {
            let stretch = 0.8 + 0.45 * self.random.uniform();
            let copy = &mut self.copies[place];
            let before = self.recorded[copy.at].t_ns;
            copy.at += 1;
            let gap_ns = self.recorded[copy.at].t_ns.since_ns(before);
            copy.t_ns += (gap_ns as f64 * stretch) as u64;
        }
        self.next.push(Reverse((self.copies[place].t_ns, place)));
        Some(event)
    }
}
