//! The same models in nexosim on one thread: a model for each station, connected by ports.
//!
//! Belongs here: its usual formulation. Does not belong here: its parallel executor.

use flowreel_peers::{Histogram, MODELS, Model as Shape, Random};
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::Output;
use nexosim::simulation::{Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Seen {
    histogram: Histogram,
    events: u64,
}

/// What a model keeps apart from its state, which nexosim wants to be able to save.
struct Aside {
    random: Random,
    seen: Arc<Mutex<Seen>>,
}

impl Default for Aside {
    fn default() -> Self {
        Self {
            random: Random::new(0),
            seen: Arc::default(),
        }
    }
}

fn now_ns(cx: &Context<impl Model>) -> u64 {
    let since = cx.time().duration_since(MonotonicTime::EPOCH);
    since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())
}

#[derive(Serialize, Deserialize)]
struct Source {
    shape: usize,
    out: Output<u64>,
    #[serde(skip)]
    aside: Aside,
}

#[Model]
impl Source {
    #[nexosim(init)]
    async fn begin(&mut self, cx: &Context<Self>) {
        self.plan(cx);
    }

    #[nexosim(schedulable)]
    async fn arrive(&mut self, _: (), cx: &Context<Self>) {
        self.out.send(now_ns(cx)).await;
        self.plan(cx);
    }

    fn plan(&mut self, cx: &Context<Self>) {
        let gap = self
            .aside
            .random
            .exponential(MODELS[self.shape].gap_ns)
            .max(1);
        cx.schedule_event(Duration::from_nanos(gap), schedulable!(Self::arrive), ())
            .expect("the gap is above 0");
    }
}

#[derive(Serialize, Deserialize)]
struct Station {
    shape: usize,
    is_last: bool,
    busy: usize,
    line: VecDeque<u64>,
    next: Output<u64>,
    #[serde(skip)]
    aside: Aside,
}

#[Model]
impl Station {
    pub async fn arrive(&mut self, begun: u64, cx: &Context<Self>) {
        self.aside.seen.lock().expect("one thread").events += 1;
        if self.busy < MODELS[self.shape].servers {
            self.busy += 1;
            self.start(begun, cx);
        } else {
            self.line.push_back(begun);
        }
    }

    fn start(&mut self, begun: u64, cx: &Context<Self>) {
        let service = self
            .aside
            .random
            .exponential(MODELS[self.shape].service_ns)
            .max(1);
        cx.schedule_event(
            Duration::from_nanos(service),
            schedulable!(Self::end),
            begun,
        )
        .expect("the service is above 0");
    }

    #[nexosim(schedulable)]
    async fn end(&mut self, begun: u64, cx: &Context<Self>) {
        let again = MODELS[self.shape].again;
        let is_done = {
            let mut seen = self.aside.seen.lock().expect("one thread");
            seen.events += 1;
            let is_done = self.is_last && !(again > 0.0 && self.aside.random.uniform() < again);
            if is_done {
                seen.histogram.record(now_ns(cx) - begun);
            }
            is_done
        };
        if !is_done {
            self.next.send(begun).await;
        }
        match self.line.pop_front() {
            Some(next) => self.start(next, cx),
            None => self.busy -= 1,
        }
    }
}

fn run(model: Shape, requests: u64) -> (u64, Histogram) {
    let shape = MODELS
        .iter()
        .position(|other| other.name == model.name)
        .expect("one of them");
    let seen = Arc::new(Mutex::new(Seen::default()));
    let aside = |seed| Aside {
        random: Random::new(seed),
        seen: Arc::clone(&seen),
    };
    let mut source = Source {
        shape,
        out: Output::default(),
        aside: aside(1),
    };
    let boxes: Vec<Mailbox<Station>> = (0..model.stations).map(|_| Mailbox::new()).collect();
    source.out.connect(Station::arrive, &boxes[0]);
    let mut bench = SimInit::with_num_threads(1).add_model(source, Mailbox::new(), "source");
    let addresses: Vec<_> = boxes.iter().map(Mailbox::address).collect();
    for (at, mailbox) in boxes.into_iter().enumerate() {
        let mut station = Station {
            shape,
            is_last: at + 1 == model.stations,
            busy: 0,
            line: VecDeque::new(),
            next: Output::default(),
            aside: aside(2 + at as u64),
        };
        if model.stations > 1 {
            station
                .next
                .connect(Station::arrive, &addresses[(at + 1) % model.stations]);
        }
        bench = bench.add_model(station, mailbox, format!("s{at}").as_str());
    }
    let mut simulation = bench
        .init(MonotonicTime::EPOCH)
        .expect("the bench is whole");
    // By a hundredth of the run at a time until enough have finished.
    let stretch = Duration::from_nanos((requests as f64 * model.gap_ns / 100.0) as u64);
    while seen.lock().expect("one thread").histogram.count < requests {
        simulation.step_until(stretch).expect("it runs");
    }
    let mut seen = seen.lock().expect("one thread");
    (seen.events, std::mem::take(&mut seen.histogram))
}

fn main() {
    flowreel_peers::main(run);
}
