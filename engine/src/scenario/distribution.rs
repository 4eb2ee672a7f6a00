//! Distributions of times: their parameters, how they are written, their first two moments.
//!
//! Belongs here: shapes and moments. Does not belong here: drawing from them (kernel::sampler).

use super::fields::{Bound, Fields, adds_to_one, numbers, times};
use super::problem::{Problems, nearest_hint};
use super::raw::Node;
use std::sync::Arc;

/// A law of times, in seconds.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields are the parameters that the language names"
)]
pub enum Distribution {
    /// Always the same.
    Deterministic { mean_s: f64 },
    /// Memoryless.
    Exponential { mean_s: f64 },
    /// Even between two bounds.
    Uniform { low_s: f64, high_s: f64 },
    /// Sum of `k` equal exponentials.
    Erlang { k: u32, mean_s: f64 },
    /// By mean and squared coefficient of variation.
    Gamma { mean_s: f64, scv: f64 },
    /// One of several exponentials.
    Hyperexponential { p: Vec<f64>, means_s: Vec<f64> },
    /// By mean and squared coefficient of variation.
    Lognormal { mean_s: f64, scv: f64 },
    /// By shape and mean.
    Weibull { shape: f64, mean_s: f64 },
    /// Pareto; `high_s` is infinite where it has no bound.
    Pareto { alpha: f64, low_s: f64, high_s: f64 },
    /// A triangle.
    Triangular {
        low_s: f64,
        mode_s: f64,
        high_s: f64,
    },
    /// One of several values.
    Discrete { values_s: Vec<f64>, p: Vec<f64> },
    /// Measured values, rising, each as likely: the inverse of their cumulative distribution.
    Empirical { values_s: Arc<[f64]> },
}

const NAMES: &[&str] = &[
    "deterministic",
    "exponential",
    "uniform",
    "erlang",
    "gamma",
    "hyperexponential",
    "lognormal",
    "weibull",
    "pareto",
    "triangular",
    "discrete",
    "empirical",
];

impl Distribution {
    /// Mean in seconds.
    #[must_use]
    pub fn mean_s(&self) -> f64 {
        match self {
            Self::Deterministic { mean_s }
            | Self::Exponential { mean_s }
            | Self::Erlang { mean_s, .. }
            | Self::Gamma { mean_s, .. }
            | Self::Lognormal { mean_s, .. }
            | Self::Weibull { mean_s, .. } => *mean_s,
            Self::Uniform { low_s, high_s } => f64::midpoint(*low_s, *high_s),
            Self::Hyperexponential { p, means_s } => weighted(p, means_s, |mean| mean),
            Self::Pareto {
                alpha,
                low_s,
                high_s,
            } => pareto_moment(*alpha, *low_s, *high_s, 1.0),
            Self::Triangular {
                low_s,
                mode_s,
                high_s,
            } => (low_s + mode_s + high_s) / 3.0,
            Self::Discrete { values_s, p } => weighted(p, values_s, |value| value),
            Self::Empirical { values_s } => average(values_s, |value| value),
        }
    }

    /// Mean of the square, in seconds².
    #[must_use]
    pub fn second_moment_s2(&self) -> f64 {
        let mean = self.mean_s();
        let by_scv = |scv: f64| mean * mean * (1.0 + scv);
        match self {
            Self::Deterministic { .. } => by_scv(0.0),
            Self::Exponential { .. } => by_scv(1.0),
            Self::Uniform { low_s, high_s } => {
                mean * mean + (high_s - low_s) * (high_s - low_s) / 12.0
            }
            Self::Erlang { k, .. } => by_scv(1.0 / f64::from(*k)),
            Self::Gamma { scv, .. } | Self::Lognormal { scv, .. } => by_scv(*scv),
            Self::Hyperexponential { p, means_s } => weighted(p, means_s, |m| 2.0 * m * m),
            Self::Weibull { shape, mean_s } => {
                let scale = mean_s / libm::tgamma(1.0 + 1.0 / shape);
                scale * scale * libm::tgamma(1.0 + 2.0 / shape)
            }
            Self::Pareto {
                alpha,
                low_s,
                high_s,
            } => pareto_moment(*alpha, *low_s, *high_s, 2.0),
            Self::Triangular {
                low_s: a,
                mode_s: b,
                high_s: c,
            } => {
                let (rise, fall, span) = (b - a, c - b, c - a);
                // Var = (a² + b² + c² − ab − ac − bc) / 18, as half the squared sides.
                mean * mean + (rise * rise + fall * fall + span * span) / 36.0
            }
            Self::Discrete { values_s, p } => weighted(p, values_s, |value| value * value),
            Self::Empirical { values_s } => average(values_s, |value| value * value),
        }
    }
}

fn weighted(p: &[f64], values: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    p.iter().zip(values).map(|(p, value)| p * f(*value)).sum()
}

#[expect(clippy::cast_precision_loss, reason = "far fewer samples than 2^53")]
fn average(values: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    values.iter().map(|value| f(*value)).sum::<f64>() / values.len() as f64
}

/// Moment of order `k` of the Pareto law cut at both ends (Harchol-Balter 2013, ch. 20).
fn pareto_moment(alpha: f64, low: f64, high: f64, k: f64) -> f64 {
    let norm = libm::pow(low, alpha) * alpha / (1.0 - libm::pow(low / high, alpha));
    let power = k - alpha;
    if power.abs() < 1e-12 {
        norm * libm::log(high / low)
    } else {
        norm * (libm::pow(high, power) - libm::pow(low, power)) / power
    }
}

/// Reads `{ dist = "…", … }`; other keys of the same table may be taken by the caller first.
pub(super) fn read(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<Distribution> {
    let mut fields = Fields::new(node, what, problems)?;
    let law = read_fields(&mut fields, problems);
    // Without a known `dist` nobody asked for the other keys yet.
    if fields.asked_count() > 1 {
        fields.finish(problems);
    }
    law
}

/// Reads the keys of a distribution from a table that is already open.
pub(super) fn read_fields(
    fields: &mut Fields<'_>,
    problems: &mut Problems<'_>,
) -> Option<Distribution> {
    let node = fields.need("dist", problems)?;
    let name = super::fields::text(node, "dist", problems)?;
    let positive = Bound::Positive;
    let law = match name {
        "deterministic" => Distribution::Deterministic {
            mean_s: fields.need_seconds("mean_s", Bound::NotNegative, problems)?,
        },
        "exponential" => Distribution::Exponential {
            mean_s: fields.need_seconds("mean_s", positive, problems)?,
        },
        "uniform" => {
            let (low_s, high_s) = bounds(fields, Bound::NotNegative, problems)?;
            Distribution::Uniform { low_s, high_s }
        }
        "erlang" => {
            let k_node = fields.need("k", problems);
            let k = k_node.and_then(|node| super::fields::count(node, "k", 1, 1000, problems));
            let mean_s = fields.need_seconds("mean_s", positive, problems);
            Distribution::Erlang {
                k: u32::try_from(k?).ok()?,
                mean_s: mean_s?,
            }
        }
        "gamma" | "lognormal" => {
            let mean_s = fields.need_seconds("mean_s", positive, problems);
            let scv = fields.need_number("scv", positive, problems);
            let (mean_s, scv) = (mean_s?, scv?);
            if name == "gamma" {
                Distribution::Gamma { mean_s, scv }
            } else {
                Distribution::Lognormal { mean_s, scv }
            }
        }
        "hyperexponential" => hyperexponential(fields, problems)?,
        "weibull" => {
            let shape = fields.need_number("shape", positive, problems);
            let mean_s = fields.need_seconds("mean_s", positive, problems);
            Distribution::Weibull {
                shape: shape?,
                mean_s: mean_s?,
            }
        }
        "pareto" => pareto(fields, problems)?,
        "triangular" => {
            let mode = fields.need_seconds("mode_s", Bound::NotNegative, problems);
            let (low_s, high_s) = bounds(fields, Bound::NotNegative, problems)?;
            let mode_s = mode?;
            if !(low_s..=high_s).contains(&mode_s) {
                problems.add_with_hint(
                    fields.place,
                    format!("`mode_s` is {mode_s}, outside {low_s} to {high_s}"),
                    "put it between `low_s` and `high_s`",
                );
                return None;
            }
            Distribution::Triangular {
                low_s,
                mode_s,
                high_s,
            }
        }
        "discrete" => {
            let (values_s, p) = shares(fields, "values_s", Bound::NotNegative, problems)?;
            Distribution::Discrete { values_s, p }
        }
        "empirical" => {
            // A file was put in their place when the text was read.
            fields.take("file");
            let mut values_s = fields
                .need("values_s", problems)
                .and_then(|node| times(node, "values_s", problems))?;
            values_s.sort_by(f64::total_cmp);
            Distribution::Empirical {
                values_s: values_s.into(),
            }
        }
        other => {
            problems.add_with_hint(
                node.place,
                format!("no distribution is named `{other}`"),
                nearest_hint(other, NAMES),
            );
            return None;
        }
    };
    Some(law)
}

/// With a bound, or without one where the mean is finite all the same.
fn pareto(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Distribution> {
    let alpha = fields.need_number("alpha", Bound::Positive, problems);
    if fields.holds_any(&["high_s"]) {
        let (low_s, high_s) = bounds(fields, Bound::Positive, problems)?;
        return Some(Distribution::Pareto {
            alpha: alpha?,
            low_s,
            high_s,
        });
    }
    // Nobody asked for it, and it may be meant by a wrong key.
    fields.take("high_s");
    let low_s = fields.need_seconds("low_s", Bound::Positive, problems);
    let alpha = alpha?;
    if alpha <= 1.0 {
        problems.add_with_hint(
            fields.place,
            format!("a pareto law with alpha {alpha} and no bound has no mean"),
            "raise `alpha` above 1, or add `high_s`",
        );
        return None;
    }
    Some(Distribution::Pareto {
        alpha,
        low_s: low_s?,
        high_s: f64::INFINITY,
    })
}

fn bounds(
    fields: &mut Fields<'_>,
    bound: Bound,
    problems: &mut Problems<'_>,
) -> Option<(f64, f64)> {
    let low = fields.need_seconds("low_s", bound, problems);
    let high = fields.need_seconds("high_s", Bound::Positive, problems);
    let (low, high) = (low?, high?);
    if low >= high {
        problems.add_with_hint(
            fields.place,
            format!("`low_s` {low} is not below `high_s` {high}"),
            "swap or correct them",
        );
        return None;
    }
    Some((low, high))
}

fn shares(
    fields: &mut Fields<'_>,
    key: &'static str,
    bound: Bound,
    problems: &mut Problems<'_>,
) -> Option<(Vec<f64>, Vec<f64>)> {
    let values = fields.need(key, problems).and_then(|node| {
        times(node, key, problems)?;
        numbers(node, key, bound, problems)
    });
    let p_node = fields.need("p", problems)?;
    let p = numbers(p_node, "p", Bound::Probability, problems)?;
    let values = values?;
    if values.len() != p.len() {
        problems.add_with_hint(
            p_node.place,
            format!("`p` has {} numbers, `{key}` has {}", p.len(), values.len()),
            "give one probability per value",
        );
        return None;
    }
    adds_to_one(&p, p_node.place, problems).then_some((values, p))
}

/// `{p, means_s}`, or `{mean_s, scv}` with balanced means: p1 m1 = p2 m2 (Whitt 1982).
fn hyperexponential(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Distribution> {
    let scv_node = fields.take("scv");
    let Some(scv_node) = scv_node else {
        let (means_s, p) = shares(fields, "means_s", Bound::Positive, problems)?;
        return Some(Distribution::Hyperexponential { p, means_s });
    };
    let mean_s = fields.need_seconds("mean_s", Bound::Positive, problems);
    let scv = super::fields::number(scv_node, "scv", Bound::Positive, problems)?;
    if scv < 1.0 {
        problems.add_with_hint(
            scv_node.place,
            format!("`scv` is {scv}, and a hyperexponential has at least 1"),
            "use erlang or gamma for less variable times",
        );
        return None;
    }
    let mean_s = mean_s?;
    let p1 = 0.5 * (1.0 + ((scv - 1.0) / (scv + 1.0)).sqrt());
    let p = vec![p1, 1.0 - p1];
    if p1 >= 1.0 {
        problems.add_with_hint(
            scv_node.place,
            format!("`scv` {scv} is too large"),
            "write a smaller one",
        );
        return None;
    }
    let means_s = p.iter().map(|p| mean_s / (2.0 * p)).collect();
    Some(Distribution::Hyperexponential { p, means_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_agree_with_hand_calculation() {
        let cases = [
            (
                Distribution::Uniform {
                    low_s: 0.0,
                    high_s: 2.0,
                },
                1.0,
                4.0 / 3.0,
            ),
            (Distribution::Erlang { k: 4, mean_s: 1.0 }, 1.0, 1.25),
            (
                Distribution::Weibull {
                    shape: 1.0,
                    mean_s: 2.0,
                },
                2.0,
                8.0,
            ),
            (
                Distribution::Triangular {
                    low_s: 0.0,
                    mode_s: 0.0,
                    high_s: 3.0,
                },
                1.0,
                1.5,
            ),
            (
                Distribution::Pareto {
                    alpha: 1.0,
                    low_s: 1.0,
                    high_s: 2.0,
                },
                2.0 * std::f64::consts::LN_2,
                2.0,
            ),
        ];
        for (law, mean, second) in cases {
            assert!(
                (law.mean_s() - mean).abs() < 1e-12,
                "{law:?} {}",
                law.mean_s()
            );
            assert!(
                (law.second_moment_s2() - second).abs() < 1e-9,
                "{law:?} {}",
                law.second_moment_s2()
            );
        }
    }
}
