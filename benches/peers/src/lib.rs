//! What all peers share: the three models, the histogram, random numbers, the clock, the line they print.
//!
//! Belongs here: the common work. Does not belong here: any simulator.
//!
//! M/M/1 and M/M/10 at utilization 0.8, and five stations in tandem that send a fifth of all requests
//! round again, each at utilization 0.8. An event is an arrival or an end of service at a station.

use rand_distr::{Distribution, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// One of the models.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Name on the command line.
    pub name: &'static str,
    /// Mean time between arrivals from outside, in nanoseconds.
    pub gap_ns: f64,
    /// Mean service time, in nanoseconds.
    pub service_ns: f64,
    /// Servers of each station.
    pub servers: usize,
    /// Stations in tandem.
    pub stations: usize,
    /// Share of requests that go round again.
    pub again: f64,
}

/// All of them.
pub const MODELS: [Model; 3] = [
    Model {
        name: "mm1",
        gap_ns: 1e9,
        service_ns: 0.8e9,
        servers: 1,
        stations: 1,
        again: 0.0,
    },
    Model {
        name: "mm10",
        gap_ns: 1e9,
        service_ns: 8e9,
        servers: 10,
        stations: 1,
        again: 0.0,
    },
    Model {
        name: "tandem",
        gap_ns: 1.25e9,
        service_ns: 0.8e9,
        servers: 1,
        stations: 5,
        again: 0.2,
    },
];

/// Random numbers as the kernel draws them: xoshiro256++, ziggurat.
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// A stream of its own.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Exponential, in whole nanoseconds.
    #[inline]
    pub fn exponential(&mut self, mean_ns: f64) -> u64 {
        let x: f64 = Exp1.sample(&mut self.0);
        (x * mean_ns) as u64
    }

    /// Even on 0..1.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Sojourn times: 512 buckets for every doubling.
pub struct Histogram {
    buckets: Vec<u32>,
    /// How many.
    pub count: u64,
    sum_ns: u128,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; 56 << 9],
            count: 0,
            sum_ns: 0,
        }
    }
}

impl Histogram {
    /// One more.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.count += 1;
        self.sum_ns += u128::from(ns);
        let shift = 63 - (ns | 512).leading_zeros() - 9;
        self.buckets[((ns >> shift) as usize) + ((shift as usize) << 9)] += 1;
    }

    /// Mean in seconds.
    #[must_use]
    pub fn mean_s(&self) -> f64 {
        self.sum_ns as f64 / 1e9 / self.count as f64
    }
}

/// CPU seconds of this process so far.
#[must_use]
pub fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat")
        .expect("Linux tells the time a process ran");
    let ns = text
        .split(' ')
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    ns.expect("a number") / 1e9
}

/// Runs one model given on the command line, `MODEL REQUESTS`, and prints what `xtask` reads.
pub fn main(run: impl FnOnce(Model, u64) -> (u64, Histogram)) {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let model = MODELS.into_iter().find(|model| model.name == name);
    let model = model.expect("the first word is mm1, mm10 or tandem");
    let requests = words.next().and_then(|word| word.parse().ok());
    let start = cpu_s();
    let (events, histogram) = run(model, requests.expect("the second word is a number"));
    print_line(events, cpu_s() - start, histogram.mean_s());
}

/// The line that `xtask` reads.
pub fn print_line(events: u64, cpu_s: f64, mean_s: f64) {
    println!("{{\"events\":{events},\"cpu_s\":{cpu_s:.6},\"sojourn_mean_s\":{mean_s:.4}}}");
}
