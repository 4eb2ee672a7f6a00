//! The hand-written loop: these models and nothing else, with a hash over every event.
//!
//! Belongs here: what the hardware gives. Does not belong here: anything a simulator would need.

use flowreel_peers::{Histogram, Model, Random};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

struct Station {
    line: VecDeque<u64>,
    busy: usize,
}

fn mum(x: u64, y: u64) -> u64 {
    let product = u128::from(x) * u128::from(y);
    (product as u64) ^ ((product >> 64) as u64)
}

fn run(model: Model, requests: u64) -> (u64, Histogram) {
    let (mut gaps, mut services, mut routes) = (Random::new(1), Random::new(2), Random::new(3));
    let mut stations: Vec<Station> = (0..model.stations)
        .map(|_| Station {
            line: VecDeque::with_capacity(1024),
            busy: 0,
        })
        .collect();
    // Ends of service: when, where, and when the request began.
    let mut ends: BinaryHeap<Reverse<(u64, usize, u64)>> = BinaryHeap::with_capacity(64);
    let mut histogram = Histogram::default();
    let (mut events, mut hash) = (0_u64, 1_u64);
    let mut next_arrival = gaps.exponential(model.gap_ns);
    while histogram.count < requests {
        let (now, at, begun) = match ends.peek() {
            Some(Reverse((end, ..))) if *end <= next_arrival => {
                let Reverse((now, at, begun)) = ends.pop().expect("it was just seen");
                events += 1;
                hash = mum(hash ^ now, 0x9e37_79b9_7f4a_7c15 ^ begun ^ at as u64);
                let station = &mut stations[at];
                if let Some(next) = station.line.pop_front() {
                    ends.push(Reverse((
                        now + services.exponential(model.service_ns),
                        at,
                        next,
                    )));
                } else {
                    station.busy -= 1;
                }
                if at + 1 < model.stations {
                    (now, at + 1, begun)
                } else if model.again > 0.0 && routes.uniform() < model.again {
                    (now, 0, begun)
                } else {
                    histogram.record(now - begun);
                    continue;
                }
            }
            _ => {
                let now = next_arrival;
                next_arrival += gaps.exponential(model.gap_ns);
                (now, 0, now)
            }
        };
        events += 1;
        hash = mum(hash ^ now, 0xbf58_476d_1ce4_e5b9 ^ begun ^ at as u64);
        let station = &mut stations[at];
        if station.busy < model.servers {
            station.busy += 1;
            ends.push(Reverse((
                now + services.exponential(model.service_ns),
                at,
                begun,
            )));
        } else {
            station.line.push_back(begun);
        }
    }
    std::hint::black_box(hash);
    (events, histogram)
}

fn main() {
    flowreel_peers::main(run);
}
