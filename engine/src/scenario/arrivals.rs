//! Arrival processes as written.
//!
//! Belongs here: reading `arrivals`. Does not belong here: the rest of a source, drawing arrivals
//! (kernel::arrivals).

use super::distribution::{self, Distribution};
use super::fields::{self, Bound, Fields};
use super::problem::{Place, Problems, nearest_hint};
use super::raw::Node;
use super::source::USERS_MAX;
use super::valid::Arrivals;

const PROCESSES: &[&str] = &[
    "poisson",
    "deterministic",
    "renewal",
    "mmpp",
    "diurnal",
    "steps",
    "trace",
    "closed",
];
/// The matrix of switches is written out by hand.
const PHASES_MAX: usize = 1000;

pub(super) fn read(node: &Node, problems: &mut Problems<'_>) -> Option<Arrivals> {
    let mut fields = Fields::new(node, "`arrivals`", problems)?;
    let process = fields.need("process", problems)?;
    let name = fields::text(process, "process", problems)?;
    let arrivals = match name {
        "poisson" => fields
            .need_number("rate_per_s", Bound::Positive, problems)
            .map(|rate_per_s| Arrivals::Poisson { rate_per_s }),
        "deterministic" => fields
            .need_seconds("every_s", Bound::Positive, problems)
            .and_then(|every_s| {
                let first_s = match fields.take("first_s") {
                    Some(node) => fields::seconds(node, "first_s", Bound::NotNegative, problems)?,
                    None => every_s,
                };
                Some(Arrivals::Regular { every_s, first_s })
            }),
        "renewal" => {
            let law = distribution::read_fields(&mut fields, problems);
            if law.as_ref().is_some_and(|law| law.mean_s() <= 0.0) {
                problems.add_with_hint(
                    node.place,
                    "gaps between arrivals are 0",
                    "make their mean positive",
                );
                return None;
            }
            law.map(Arrivals::Renewal)
        }
        "steps" => steps(&mut fields, problems),
        "diurnal" => diurnal(&mut fields, problems),
        "mmpp" => mmpp(&mut fields, problems),
        "trace" => trace(&mut fields, problems),
        "closed" => closed(&mut fields, problems),
        other => {
            problems.add_with_hint(
                process.place,
                format!("no arrival process is named `{other}`"),
                nearest_hint(other, PROCESSES),
            );
            return None;
        }
    };
    if let Some(arrivals) = &arrivals
        && highest_rate_per_s(arrivals) > 1e9
    {
        problems.add_with_hint(
            node.place,
            format!(
                "{} arrivals per second are more than one per nanosecond",
                highest_rate_per_s(arrivals)
            ),
            "lower the rate",
        );
        return None;
    }
    fields.finish(problems);
    arrivals
}

fn highest_rate_per_s(arrivals: &Arrivals) -> f64 {
    match arrivals {
        Arrivals::Steps(steps) => steps.iter().map(|(_, rate)| *rate).fold(0.0, f64::max),
        Arrivals::Mmpp { rates_per_s, .. } => rates_per_s.iter().copied().fold(0.0, f64::max),
        Arrivals::Poisson { .. }
        | Arrivals::Renewal(_)
        | Arrivals::Regular { .. }
        | Arrivals::Diurnal { .. }
        | Arrivals::Trace(_)
        | Arrivals::Closed { .. } => arrivals.rate_per_s(),
    }
}

fn steps(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Arrivals> {
    let node = fields.need("steps", problems)?;
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for item in fields::list(node, "steps", problems)? {
        let pair = fields::numbers(item, "steps", Bound::NotNegative, problems)?;
        let [at_s, rate_per_s] = pair[..] else {
            problems.add_with_hint(
                item.place,
                format!("a step has {} numbers", pair.len()),
                "write [at_s, rate_per_s]",
            );
            return None;
        };
        if crate::model::time::ns_from_seconds(at_s).is_none() {
            problems.add_with_hint(
                item.place,
                format!("a step at {at_s} s lies past 292 years"),
                "write an earlier time",
            );
            return None;
        }
        if steps.last().is_some_and(|(before, _)| at_s <= *before) {
            problems.add_with_hint(
                item.place,
                format!("the step at {at_s} s is not later than the one before"),
                "write steps in the order of time",
            );
            return None;
        }
        steps.push((at_s, rate_per_s));
    }
    if steps.iter().all(|(_, rate)| *rate <= 0.0) {
        problems.add_with_hint(
            node.place,
            "no step has arrivals",
            "give one of them a rate above 0",
        );
        return None;
    }
    Some(Arrivals::Steps(steps))
}

/// The times of a file were put in its place when the text was read.
fn trace(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Arrivals> {
    fields.take("file");
    let node = fields.take("at_s");
    let Some(node) = node else {
        problems.add_with_hint(
            fields.place,
            "a trace without arrival times",
            "add `file = \"arrivals.txt\"` with one time in seconds per line, or `at_s = [0.5, 1.2]`",
        );
        return None;
    };
    let times = fields::times(node, "at_s", problems)?;
    if let Some(pair) = times.windows(2).find(|pair| pair[1] < pair[0]) {
        problems.add_with_hint(
            node.place,
            format!(
                "the arrival at {} s comes after the one at {} s",
                pair[1], pair[0]
            ),
            "write arrivals in the order of time",
        );
        return None;
    }
    Some(Arrivals::Trace(times.into()))
}

fn diurnal(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Arrivals> {
    let rate_per_s = fields.need_number("rate_per_s", Bound::Positive, problems);
    let amplitude = fields.need_number("amplitude", Bound::Probability, problems);
    let period_node = fields.need("period_s", problems);
    let period_s =
        period_node.and_then(|node| fields::seconds(node, "period_s", Bound::Positive, problems));
    if let (Some(node), Some(period_s)) = (period_node, period_s)
        && period_s < 1e-6
    {
        problems.add_with_hint(
            node.place,
            format!("`period_s` is {period_s}"),
            "write a time of at least 0.000001",
        );
        return None;
    }
    let phase_s = match fields.take("phase_s") {
        Some(node) => fields::seconds(node, "phase_s", Bound::NotNegative, problems),
        None => Some(0.0),
    };
    Some(Arrivals::Diurnal {
        rate_per_s: rate_per_s?,
        amplitude: amplitude?,
        period_s: period_s?,
        phase_s: phase_s?,
    })
}

fn closed(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Arrivals> {
    let users = fields
        .need("users", problems)
        .and_then(|node| fields::count(node, "users", 1, USERS_MAX, problems));
    let think = match fields.take("think") {
        Some(node) => distribution::read(node, "`think`", problems),
        None => Some(Distribution::Deterministic { mean_s: 0.0 }),
    };
    Some(Arrivals::Closed {
        users: u32::try_from(users?).ok()?,
        think: think?,
    })
}

fn mmpp(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Arrivals> {
    let rates_node = fields.need("rates_per_s", problems);
    let rates = rates_node
        .and_then(|node| fields::numbers(node, "rates_per_s", Bound::NotNegative, problems));
    let switch_node = fields.need("switch_per_s", problems);
    let rows = switch_node.and_then(|node| {
        let items = fields::list(node, "switch_per_s", problems)?;
        let rows: Vec<Vec<f64>> = items
            .iter()
            .filter_map(|row| fields::numbers(row, "switch_per_s", Bound::NotNegative, problems))
            .collect();
        (rows.len() == items.len()).then_some(rows)
    });
    let (rates_per_s, switch_per_s) = (rates?, rows?);
    let place = switch_node.map_or(Place::Text(0), |node| node.place);
    let count = rates_per_s.len();
    if count > PHASES_MAX {
        problems.add_with_hint(
            place,
            format!("{count} phases"),
            format!("at most {PHASES_MAX} are possible"),
        );
        return None;
    }
    if switch_per_s.len() != count || switch_per_s.iter().any(|row| row.len() != count) {
        problems.add_with_hint(
            place,
            format!("`switch_per_s` does not have {count} rows of {count} rates"),
            "write one row and one column per phase",
        );
        return None;
    }
    if switch_per_s.iter().enumerate().any(|(i, row)| row[i] > 0.0) {
        problems.add_with_hint(
            place,
            "a phase switches to itself",
            "write 0.0 on the diagonal",
        );
        return None;
    }
    if rates_per_s.iter().all(|rate| *rate <= 0.0) {
        problems.add_with_hint(
            rates_node.map_or(place, |node| node.place),
            "no phase has arrivals",
            "give one of them a rate above 0",
        );
        return None;
    }
    let Some(shares) = long_run_shares(&switch_per_s) else {
        problems.add_with_hint(
            place,
            "some phase is never reached again from another",
            "let every phase lead to every other, directly or through others",
        );
        return None;
    };
    Some(Arrivals::Mmpp {
        rates_per_s,
        switch_per_s,
        shares,
    })
}

/// Stationary law of the chain (Grassmann, Taksar & Heyman 1985: nothing is subtracted); `None` where
/// the chain falls apart.
fn long_run_shares(switch: &[Vec<f64>]) -> Option<Vec<f64>> {
    let count = switch.len();
    let mut rates = switch.to_vec();
    for last in (1..count).rev() {
        let out: f64 = rates[last][..last].iter().sum();
        if out <= 0.0 {
            return None;
        }
        let way_on = rates[last].clone();
        for (from, row) in rates.iter_mut().take(last).enumerate() {
            let into = row[last] / out;
            row[last] = into;
            for (to, (rate, on)) in row.iter_mut().zip(&way_on).take(last).enumerate() {
                if from != to {
                    *rate += into * on;
                }
            }
        }
    }
    let mut shares = vec![1.0; count];
    for phase in 1..count {
        shares[phase] = (0..phase)
            .map(|from| shares[from] * rates[from][phase])
            .sum();
    }
    let total: f64 = shares.iter().sum();
    let is_whole = total.is_finite() && shares.iter().all(|share| *share > 0.0);
    is_whole.then(|| shares.iter().map(|share| share / total).collect())
}

#[cfg(test)]
mod tests {
    use super::long_run_shares;

    #[test]
    fn shares_of_time_balance_the_switches() {
        let switch = vec![
            vec![0.0, 1.0, 2.0],
            vec![3.0, 0.0, 0.5],
            vec![0.0, 4.0, 0.0],
        ];
        let shares = long_run_shares(&switch).expect("every phase leads to every other");
        for phase in 0..3 {
            let out: f64 = shares[phase] * switch[phase].iter().sum::<f64>();
            let into: f64 = (0..3).map(|from| shares[from] * switch[from][phase]).sum();
            assert!((out - into).abs() < 1e-12, "phase {phase}: {out}, {into}");
        }
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(long_run_shares(&[vec![0.0, 1.0], vec![0.0, 0.0]]), None);
        assert_eq!(long_run_shares(&[vec![0.0, 0.0], vec![1.0, 0.0]]), None);
    }
}
