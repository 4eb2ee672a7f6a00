//! Formulas of single stations with Poisson arrivals: exact means, and percentiles where they have a form.
//!
//! Belongs here: numbers in, numbers out. Does not belong here: which station is which model (theory).

use super::theory::{Exact, ExactTimes};

/// What a model gives; times in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) rate_per_s: f64,
    pub(super) mean_s: f64,
    pub(super) servers: u32,
}

impl Line {
    fn offered(self) -> f64 {
        self.rate_per_s * self.mean_s
    }

    pub(super) fn utilization(self) -> f64 {
        self.offered() / f64::from(self.servers)
    }

    /// Share refused where nobody may wait (Erlang B), by its recursion: no factorials, no overflow.
    fn blocking(self) -> f64 {
        let offered = self.offered();
        (1..=self.servers).fold(1.0, |blocking, n| {
            offered * blocking / (f64::from(n) + offered * blocking)
        })
    }

    /// Share that waits where nobody is refused (Erlang C); `None` at utilization 1 and above.
    pub(super) fn p_wait(self) -> Option<f64> {
        let utilization = self.utilization();
        let blocking = self.blocking();
        (utilization < 1.0).then(|| blocking / (1.0 - utilization * (1.0 - blocking)))
    }

    /// Jobs per second that come faster than they are served, negated.
    fn drain_per_s(self) -> f64 {
        f64::from(self.servers) / self.mean_s - self.rate_per_s
    }
}

pub(super) fn only_mean(mean: f64) -> ExactTimes {
    times(mean, |_| None)
}

fn times(mean: f64, quantile: impl Fn(f64) -> Option<f64>) -> ExactTimes {
    ExactTimes {
        mean,
        p50: quantile(0.5),
        p90: quantile(0.9),
        p95: quantile(0.95),
        p99: quantile(0.99),
    }
}

/// M/M/c (Gross et al. 2018, ch. 3); percentiles hold for first come, first served.
pub(super) fn mmc(line: Line, in_order: bool) -> Option<Exact> {
    let p_wait = line.p_wait()?;
    let drain_per_s = line.drain_per_s();
    let wait_s = p_wait / drain_per_s;
    let mean_s = wait_s + line.mean_s;
    let wait_quantile =
        |q: f64| in_order.then(|| (libm::log(p_wait / (1.0 - q)) / drain_per_s).max(0.0));
    let sojourn_quantile = |q: f64| in_order.then(|| sojourn_quantile(line, p_wait, q));
    Some(Exact {
        model: if line.servers == 1 { "M/M/1" } else { "M/M/c" },
        utilization: Some(line.utilization()),
        p_wait: Some(p_wait),
        waiting_s: Some(times(wait_s, wait_quantile)),
        sojourn_s: times(mean_s, sojourn_quantile),
        in_station: line.rate_per_s * mean_s,
        ..Exact::of("", line.rate_per_s)
    })
}

/// Of an exponential service, after an exponential wait with probability `p_wait`, by bisection.
fn sojourn_quantile(line: Line, p_wait: f64, q: f64) -> f64 {
    let (serve, drain) = (1.0 / line.mean_s, line.drain_per_s());
    let above = |t: f64| {
        let served = libm::exp(-serve * t);
        let both = if (serve - drain).abs() < 1e-9 * serve {
            (1.0 + serve * t) * served
        } else {
            (serve * libm::exp(-drain * t) - drain * served) / (serve - drain)
        };
        (1.0 - p_wait) * served + p_wait * both
    };
    let (mut low, mut high) = (0.0, line.mean_s);
    while above(high) > 1.0 - q && high < 1e15 * line.mean_s {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if above(middle) > 1.0 - q {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// M/G/1 (Pollaczek and Khinchine), for every order of service that does not look at sizes.
pub(super) fn mg1(line: Line, second_moment_s2: f64) -> Option<Exact> {
    let utilization = line.utilization();
    if utilization >= 1.0 {
        return None;
    }
    let wait_s = line.rate_per_s * second_moment_s2 / 2.0 / (1.0 - utilization);
    if !wait_s.is_finite() {
        return None;
    }
    Some(Exact {
        utilization: Some(utilization),
        p_wait: Some(utilization),
        waiting_s: Some(only_mean(wait_s)),
        sojourn_s: only_mean(wait_s + line.mean_s),
        in_station: line.rate_per_s * (wait_s + line.mean_s),
        ..Exact::of("M/G/1", line.rate_per_s)
    })
}

/// Servers shared by all, or taken by the newest: the mean does not depend on the law of service
/// (Kelly 1979, sec. 3.3).
pub(super) fn insensitive(line: Line, model: &'static str) -> Option<Exact> {
    let wait_s = line.p_wait()? / line.drain_per_s();
    Some(Exact {
        utilization: Some(line.utilization()),
        sojourn_s: only_mean(wait_s + line.mean_s),
        in_station: line.rate_per_s * (wait_s + line.mean_s),
        ..Exact::of(model, line.rate_per_s)
    })
}

/// M/G/∞: nobody waits.
pub(super) fn delay(rate_per_s: f64, mean_s: f64) -> Exact {
    Exact {
        p_wait: Some(0.0),
        waiting_s: Some(times(0.0, |_| Some(0.0))),
        sojourn_s: only_mean(mean_s),
        in_station: rate_per_s * mean_s,
        ..Exact::of("M/G/∞", rate_per_s)
    }
}

/// M/G/c/c: who finds no server free is refused (Erlang B), whatever the law of service.
pub(super) fn loss(line: Line) -> Exact {
    let p_reject = line.blocking();
    let busy = line.offered() * (1.0 - p_reject);
    Exact {
        utilization: Some(busy / f64::from(line.servers)),
        p_wait: Some(0.0),
        p_reject: Some(p_reject),
        waiting_s: Some(times(0.0, |_| Some(0.0))),
        sojourn_s: only_mean(line.mean_s),
        in_station: busy,
        ..Exact::of("M/G/c/c", line.rate_per_s)
    }
}

/// Levels of a birth-death chain that hold all but this much of its probability.
const NEGLIGIBLE: f64 = 1e-18;
const LEVELS_MAX: u32 = 10_000_000;

/// M/M/c/K and M/M/c+M (Erlang A): at most `capacity` present, each waiting one leaving at
/// `leave_per_s`. Waiting and sojourn are those of the served.
pub(super) fn limited(line: Line, capacity: Option<u32>, leave_per_s: f64) -> Option<Exact> {
    let (servers, serve_per_s) = (f64::from(line.servers), 1.0 / line.mean_s);
    let all_serve_per_s = servers * serve_per_s;
    if capacity.is_none() && leave_per_s <= 0.0 {
        return None;
    }
    // Shares relative to the level with all servers busy; both sides shrink away from it or are short.
    let mut sum = Sums::default();
    let mut share = 1.0;
    for level in (0..line.servers).rev() {
        share *= f64::from(level + 1) * serve_per_s / line.rate_per_s;
        sum.all += share;
        sum.busy += share * f64::from(level);
        if share < NEGLIGIBLE * sum.all {
            break;
        }
    }
    // Who comes at level c + k waits for k + 1 departures: `served` is the chance that patience lasts,
    // `rest` the sum of the mean times.
    let (mut share, mut served, mut rest) = (1.0, 1.0, 0.0);
    for level in line.servers..=capacity.unwrap_or(LEVELS_MAX) {
        let waiting = f64::from(level - line.servers);
        sum.all += share;
        sum.busy += share * servers;
        sum.waiting += share * waiting;
        if Some(level) == capacity {
            sum.full = share;
            break;
        }
        let departures = all_serve_per_s + waiting * leave_per_s;
        served *= departures / (departures + leave_per_s);
        rest += 1.0 / (departures + leave_per_s);
        sum.waits += share;
        sum.served_waits += share * served;
        sum.wait_s += share * served * rest;
        share *= line.rate_per_s / (departures + leave_per_s);
        let is_falling = line.rate_per_s < departures;
        if is_falling && share * (waiting + 1.0) < NEGLIGIBLE * sum.all {
            break;
        }
        if !sum.all.is_finite() || level == LEVELS_MAX {
            return None;
        }
    }
    let accepted = (sum.all - sum.full) / sum.all;
    let p_abandon = sum.waiting * leave_per_s / sum.all / line.rate_per_s;
    let at_once = sum.all - sum.full - sum.waits;
    let wait_s = sum.wait_s / (at_once + sum.served_waits);
    let model = match (capacity.is_some(), leave_per_s > 0.0) {
        (true, true) => "M/M/c/K+M",
        (false, true) => "M/M/c+M",
        _ => "M/M/c/K",
    };
    Some(Exact {
        utilization: Some(sum.busy / sum.all / servers),
        p_wait: Some(sum.waits / (sum.all - sum.full)),
        p_reject: capacity.map(|_| 1.0 - accepted),
        p_abandon: (leave_per_s > 0.0).then_some(p_abandon),
        waiting_s: Some(only_mean(wait_s)),
        sojourn_s: only_mean(wait_s + line.mean_s),
        in_station: (sum.busy + sum.waiting) / sum.all,
        ..Exact::of(model, line.rate_per_s)
    })
}

/// Sums over the levels of a chain, each times its share.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    all: f64,
    busy: f64,
    waiting: f64,
    full: f64,
    waits: f64,
    served_waits: f64,
    wait_s: f64,
}

/// M/M/c+D: everybody waits exactly so long at most (Zeltyn & Mandelbaum 2005, sec. 4).
pub(super) fn same_patience(line: Line, patience_s: f64) -> Option<Exact> {
    let all_serve_per_s = f64::from(line.servers) / line.mean_s;
    let growth = line.rate_per_s - all_serve_per_s;
    // Integral of exp(growth x) up to the patience, and of x exp(growth x).
    let reached = libm::exp(growth * patience_s);
    let is_balanced = (growth * patience_s).abs() < 1e-6;
    let until = if is_balanced {
        patience_s * (1.0 + growth * patience_s / 2.0)
    } else {
        (reached - 1.0) / growth
    };
    let first_moment = if is_balanced {
        patience_s * patience_s * (0.5 + growth * patience_s / 3.0)
    } else {
        (patience_s * reached - until) / growth
    };
    let whole = until + reached / all_serve_per_s;
    // 1 / (Erlang B with one server fewer): chance of a free server over that of the last one free.
    let fewer = Line {
        servers: line.servers - 1,
        ..line
    };
    let free = 1.0 / fewer.blocking();
    let below = free + line.rate_per_s * whole;
    let p_abandon = (1.0 + growth * whole) / below;
    let wait_s = line.rate_per_s * first_moment / below / (1.0 - p_abandon);
    let waiting = line.rate_per_s * ((1.0 - p_abandon) * wait_s + p_abandon * patience_s);
    let busy = line.offered() * (1.0 - p_abandon);
    below.is_finite().then(|| Exact {
        utilization: Some(busy / f64::from(line.servers)),
        p_wait: Some(line.rate_per_s * whole / below),
        p_abandon: Some(p_abandon),
        waiting_s: Some(only_mean(wait_s)),
        sojourn_s: only_mean(wait_s + line.mean_s),
        in_station: waiting + busy,
        ..Exact::of("M/M/c+D", line.rate_per_s)
    })
}

/// One class at a station with priorities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) priority: i32,
    pub(super) rate_per_s: f64,
    pub(super) mean_s: f64,
    pub(super) second_moment_s2: f64,
}

/// Mean waiting (up to the first service, where services are not interrupted) and sojourn of each
/// class: Cobham 1954 for M/G/1 and equal exponential services on several servers, and preemptive
/// resume for M/G/1 (Gross et al. 2018, sec. 4.4). The larger priority goes first.
pub(super) fn priorities(
    kinds: &[Kind],
    servers: u32,
    interrupts: bool,
) -> Option<Vec<(Option<f64>, f64)>> {
    let c = f64::from(servers);
    let load = |from: &dyn Fn(i32) -> bool| -> f64 {
        let chosen = kinds.iter().filter(|kind| from(kind.priority));
        chosen.map(|kind| kind.rate_per_s * kind.mean_s / c).sum()
    };
    let residual = |from: &dyn Fn(i32) -> bool| -> f64 {
        let chosen = kinds.iter().filter(|kind| from(kind.priority));
        chosen
            .map(|kind| kind.rate_per_s * kind.second_moment_s2 / 2.0)
            .sum()
    };
    if load(&|_| true) >= 1.0 {
        return None;
    }
    let rate_per_s: f64 = kinds.iter().map(|kind| kind.rate_per_s).sum();
    let in_the_way = if servers == 1 {
        residual(&|_| true)
    } else {
        let mean_s = kinds.first()?.mean_s;
        let line = Line {
            rate_per_s,
            mean_s,
            servers,
        };
        line.p_wait()? * mean_s / c
    };
    let of = |kind: &Kind| {
        let above = 1.0 - load(&|priority| priority > kind.priority);
        let with = 1.0 - load(&|priority| priority >= kind.priority);
        if interrupts {
            let wait_s = residual(&|priority| priority >= kind.priority) / above / with;
            (None, kind.mean_s / above + wait_s)
        } else {
            let wait_s = in_the_way / above / with;
            (Some(wait_s), wait_s + kind.mean_s)
        }
    };
    Some(kinds.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, exact: f64) {
        assert!((found / exact - 1.0).abs() < 1e-8, "{found}, not {exact}");
    }

    fn exponential(priority: i32, rate_per_s: f64, mean_s: f64) -> Kind {
        Kind {
            priority,
            rate_per_s,
            mean_s,
            second_moment_s2: 2.0 * mean_s * mean_s,
        }
    }

    #[test]
    fn priorities_are_cobhams() {
        let two = [exponential(2, 0.3, 1.0), exponential(1, 0.5, 1.0)];
        let times = priorities(&two, 1, false).unwrap();
        near(times[0].1, 2.142_857_143);
        near(times[1].1, 6.714_285_714);
        let times = priorities(&two, 1, true).unwrap();
        near(times[0].1, 1.428_571_429);
        near(times[1].1, 7.142_857_143);
        let unequal = [exponential(2, 1.0, 0.4), exponential(1, 0.3, 1.0)];
        near(priorities(&unequal, 1, true).unwrap()[1].1, 4.222_222_222);
        let four = [exponential(2, 1.2, 1.0), exponential(1, 2.0, 1.0)];
        let times = priorities(&four, 4, false).unwrap();
        near(times[0].0.unwrap(), 0.213_011_597_1);
        near(times[1].0.unwrap(), 1.065_057_985);
        assert!(priorities(&[exponential(1, 2.0, 1.0)], 1, false).is_none());
    }

    #[test]
    fn shared_cores_are_erlang_c_whatever_the_law() {
        let line = Line {
            rate_per_s: 36.0,
            mean_s: 0.1,
            servers: 4,
        };
        near(
            insensitive(line, "M/G/c-PS").unwrap().sojourn_s.mean,
            0.296_938_316_1,
        );
    }
}
