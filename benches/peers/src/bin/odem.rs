//! The same models in odem-rs: one job for each server, asleep while there is nothing to do.
//!
//! Belongs here: its fastest formulation, servers that never end rather than a process for each request.

use flowreel_peers::{Histogram, Model, Random};
use odem_rs::core::ops::waker;
use odem_rs::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;

#[derive(Default)]
struct Station {
    line: RefCell<VecDeque<u64>>,
    asleep: RefCell<Vec<Waker>>,
}

struct Shared {
    model: Model,
    stations: Vec<Station>,
    services: RefCell<Random>,
    routes: RefCell<Random>,
    histogram: RefCell<Histogram>,
    events: Cell<u64>,
}

impl Shared {
    fn enqueue(&self, at: usize, begun: u64) {
        self.events.set(self.events.get() + 1);
        let station = &self.stations[at];
        station.line.borrow_mut().push_back(begun);
        let asleep = station.asleep.borrow_mut().pop();
        if let Some(waker) = asleep {
            waker.wake();
        }
    }
}

#[derive(Default, Config)]
#[time(u64)]
struct Peer;

struct Server {
    shared: Rc<Shared>,
    at: usize,
}

impl Behavior<Peer> for Server {
    type Output = ();

    async fn actions(&self, sim: &Sim<Peer>) {
        let Self { shared, at } = self;
        let (model, station) = (shared.model, &shared.stations[*at]);
        loop {
            loop {
                let Some(begun) = station.line.borrow_mut().pop_front() else {
                    break;
                };
                let service = shared.services.borrow_mut().exponential(model.service_ns);
                sim.advance(service).await;
                shared.events.set(shared.events.get() + 1);
                if *at + 1 < model.stations {
                    shared.enqueue(*at + 1, begun);
                } else if model.again > 0.0 && shared.routes.borrow_mut().uniform() < model.again {
                    shared.enqueue(0, begun);
                } else {
                    shared.histogram.borrow_mut().record(sim.now() - begun);
                }
            }
            let me = waker().await;
            station.asleep.borrow_mut().push(me);
            sleep().await;
        }
    }
}

fn run(model: Model, requests: u64) -> (u64, Histogram) {
    let shared = Rc::new(Shared {
        model,
        stations: (0..model.stations).map(|_| Station::default()).collect(),
        services: RefCell::new(Random::new(2)),
        routes: RefCell::new(Random::new(3)),
        histogram: RefCell::default(),
        events: Cell::new(0),
    });
    let outcome = Simulator::new(Peer).run(async |sim: &Sim<Peer>| {
        for at in 0..model.stations {
            for _ in 0..model.servers {
                sim.spawn(Server {
                    shared: Rc::clone(&shared),
                    at,
                });
            }
        }
        let mut gaps = Random::new(1);
        while shared.histogram.borrow().count < requests {
            sim.advance(gaps.exponential(model.gap_ns)).await;
            shared.enqueue(0, sim.now());
        }
        // A waker must not outlive the run.
        for station in &shared.stations {
            station.asleep.borrow_mut().clear();
        }
    });
    assert!(outcome.is_ok(), "the generator never sleeps for good");
    (shared.events.get(), shared.histogram.take())
}

fn main() {
    flowreel_peers::main(run);
}
