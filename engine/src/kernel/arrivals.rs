//! Arrival processes at work: the time to the next arrival.
//!
//! Belongs here: what a process remembers between arrivals. Does not belong here: classes, users,
//! batches (source).

use super::rng::Stream;
use super::sampler::{Sampler, pick, whole};
use crate::model::time::ns_from_seconds;
use crate::scenario::distribution::Distribution;
use crate::scenario::rule::cumulative;
use crate::scenario::valid::Arrivals;

const NS: f64 = 1e9;

/// A process prepared for drawing; rates are per nanosecond.
#[derive(Clone, Debug)]
pub(super) enum Process {
    /// Independent gaps.
    Gaps(Sampler),
    /// Equal gaps, the first one perhaps another.
    Regular {
        every_ns: u64,
        first_ns: Option<u64>,
    },
    /// Poisson, the rate set anew at each moment of the list.
    Steps(Vec<(u64, f64)>),
    /// Poisson, the rate a sine.
    Diurnal {
        mean: f64,
        amplitude: f64,
        period_ns: u64,
        phase_ns: u64,
    },
    /// Poisson, the rate that of a phase which a Markov chain walks through.
    Phases {
        phase: usize,
        rates: Vec<f64>,
        leaving: Vec<f64>,
        /// By phase: cumulative shares of the phases that follow.
        next: Vec<Vec<f64>>,
    },
    /// At given moments.
    Trace { at_ns: Vec<u64>, next: usize },
    /// Each user thinks, asks, and thinks again when the answer is there.
    Thinking(Sampler),
}

impl Process {
    pub(super) fn new(arrivals: &Arrivals, stream: &mut Stream) -> Self {
        match arrivals {
            Arrivals::Poisson { rate_per_s } => {
                Self::Gaps(Sampler::new(&Distribution::Exponential {
                    mean_s: 1.0 / rate_per_s,
                }))
            }
            Arrivals::Renewal(law) => Self::Gaps(Sampler::new(law)),
            Arrivals::Regular { every_s, first_s } => Self::Regular {
                every_ns: ns_from_seconds(*every_s).unwrap_or(u64::MAX),
                first_ns: ns_from_seconds(*first_s),
            },
            Arrivals::Steps(steps) => Self::Steps(
                steps
                    .iter()
                    .map(|(at_s, rate)| (ns_from_seconds(*at_s).unwrap_or(u64::MAX), rate / NS))
                    .collect(),
            ),
            Arrivals::Diurnal {
                rate_per_s,
                amplitude,
                period_s,
                phase_s,
            } => Self::Diurnal {
                mean: rate_per_s / NS,
                amplitude: *amplitude,
                period_ns: ns_from_seconds(*period_s).unwrap_or(u64::MAX).max(1),
                phase_ns: ns_from_seconds(*phase_s).unwrap_or(0),
            },
            Arrivals::Mmpp {
                rates_per_s,
                switch_per_s,
                shares,
            } => Self::Phases {
                // From the start as in the long run.
                phase: pick(&cumulative(shares.iter().copied()), stream),
                rates: rates_per_s.iter().map(|rate| rate / NS).collect(),
                leaving: switch_per_s
                    .iter()
                    .map(|row| row.iter().sum::<f64>() / NS)
                    .collect(),
                next: switch_per_s
                    .iter()
                    .map(|row| {
                        let total: f64 = row.iter().sum();
                        cumulative(row.iter().map(|rate| rate / total))
                    })
                    .collect(),
            },
            Arrivals::Trace(at_s) => Self::Trace {
                at_ns: at_s
                    .iter()
                    .map(|at_s| ns_from_seconds(*at_s).unwrap_or(u64::MAX))
                    .collect(),
                next: 0,
            },
            Arrivals::Closed { think, .. } => Self::Thinking(Sampler::new(think)),
        }
    }

    /// Time to the next arrival; `None` where no more will come.
    #[inline]
    pub(super) fn gap_ns(&mut self, now_ns: u64, stream: &mut Stream) -> Option<u64> {
        match self {
            Self::Gaps(law) | Self::Thinking(law) => Some(law.draw_ns(stream)),
            Self::Regular { every_ns, first_ns } => Some(first_ns.take().unwrap_or(*every_ns)),
            Self::Steps(steps) => step_gap_ns(steps, now_ns, stream),
            Self::Trace { at_ns, next } => {
                let at_ns = *at_ns.get(*next)?;
                *next += 1;
                Some(at_ns.saturating_sub(now_ns))
            }
            Self::Diurnal {
                mean,
                amplitude,
                period_ns,
                phase_ns,
            } => {
                // Thinning (Lewis & Shedler 1979): drawn at the highest rate, kept by its share.
                let peak = *mean * (1.0 + *amplitude);
                let start_ns = now_ns % *period_ns + *phase_ns % *period_ns;
                let mut gap = 0.0;
                loop {
                    gap += stream.exponential() / peak;
                    let angle = turns(start_ns, gap, *period_ns) * std::f64::consts::TAU;
                    let rate = *mean * (1.0 + *amplitude * libm::sin(angle));
                    if stream.uniform() * peak < rate {
                        return Some(whole(gap));
                    }
                }
            }
            Self::Phases {
                phase,
                rates,
                leaving,
                next,
            } => {
                let mut gap = 0.0;
                loop {
                    let (rate, leave) = (rates[*phase], leaving[*phase]);
                    gap += stream.exponential() / (rate + leave);
                    if stream.uniform() * (rate + leave) < rate {
                        return Some(whole(gap));
                    }
                    *phase = pick(&next[*phase], stream);
                }
            }
        }
    }
}

/// Turns of a period, whole ones left out.
#[expect(
    clippy::cast_precision_loss,
    reason = "both times are within two periods, and a sine needs no more than 53 bits"
)]
fn turns(start_ns: u64, gap: f64, period_ns: u64) -> f64 {
    let turns = (start_ns as f64 + gap) / period_ns as f64;
    turns - libm::floor(turns)
}

/// A unit exponential is used up at the rate of each step in turn: exact, whatever the steps.
#[expect(
    clippy::cast_precision_loss,
    reason = "rounding of a step's length is far below one arrival"
)]
fn step_gap_ns(steps: &[(u64, f64)], now_ns: u64, stream: &mut Stream) -> Option<u64> {
    let mut left = stream.exponential();
    let mut at_ns = now_ns;
    let passed = steps.partition_point(|(start_ns, _)| *start_ns <= now_ns);
    // Before the first step nobody comes.
    let mut rate = passed.checked_sub(1).map_or(0.0, |index| steps[index].1);
    for (start_ns, next_rate) in &steps[passed..] {
        let used = rate * (start_ns - at_ns) as f64;
        if used > left {
            break;
        }
        left -= used;
        (at_ns, rate) = (*start_ns, *next_rate);
    }
    (rate > 0.0).then(|| (at_ns - now_ns).saturating_add(whole(left / rate)))
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    reason = "times and counts of a test are small"
)]
mod tests {
    use super::*;

    fn arrivals(process: &Arrivals, until_s: f64) -> Vec<f64> {
        let mut stream = Stream::new(3, "clients", "arrivals");
        let mut process = Process::new(process, &mut stream);
        let (mut now, mut list) = (0, Vec::new());
        while let Some(gap) = process.gap_ns(now, &mut stream) {
            now += gap;
            let at_s = now as f64 / NS;
            if at_s > until_s {
                break;
            }
            list.push(at_s);
        }
        list
    }

    /// A Poisson count lies within five standard deviations of its mean.
    fn check_count(count: usize, mean: f64) {
        let off = (count as f64 - mean).abs() / mean.sqrt();
        assert!(off < 5.0, "{count}, not {mean}");
    }

    #[test]
    fn steps_come_at_the_rate_of_each_and_end_with_a_rate_of_0() {
        let steps = vec![(10.0, 2000.0), (20.0, 0.0), (30.0, 500.0), (50.0, 0.0)];
        let list = arrivals(&Arrivals::Steps(steps), 1e6);
        let between =
            |low: f64, high: f64| list.iter().filter(|at| (low..high).contains(*at)).count();
        assert_eq!((between(0.0, 10.0), between(20.0, 30.0)), (0, 0));
        check_count(between(10.0, 15.0), 10_000.0);
        check_count(between(15.0, 20.0), 10_000.0);
        check_count(between(30.0, 50.0), 10_000.0);
        assert_eq!(between(50.0, 1e9), 0);
    }

    #[test]
    fn a_sine_has_its_integral_in_every_quarter() {
        let list = arrivals(
            &Arrivals::Diurnal {
                rate_per_s: 100.0,
                amplitude: 0.8,
                period_s: 40.0,
                phase_s: 10.0,
            },
            4000.0,
        );
        for (quarter, sign) in [(0.0, 1.0), (1.0, -1.0), (2.0, -1.0), (3.0, 1.0)] {
            let count = list
                .iter()
                .filter(|at| libm::floor(**at % 40.0 / 10.0) == quarter)
                .count();
            // Shifted by a quarter the sine is a cosine: 10 s of 100 per s, and ± 0.8 · 2/π of it.
            check_count(
                count,
                100_000.0 * (1.0 + sign * 0.8 * std::f64::consts::FRAC_2_PI),
            );
        }
    }
}
