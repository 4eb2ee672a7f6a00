//! Drawing times from distributions, in whole nanoseconds.
//!
//! Belongs here: one way of drawing per law, with its parameters ready. Does not belong here: moments.

use super::rng::Stream;
use crate::model::time::ns_from_seconds;
use crate::scenario::distribution::Distribution;

/// A distribution prepared for drawing; all floats are nanoseconds or plain numbers.
#[derive(Clone, Debug)]
pub(super) enum Sampler {
    Constant(u64),
    Exponential {
        mean: f64,
    },
    Uniform {
        low: f64,
        span: f64,
    },
    Erlang {
        k: u32,
        stage_mean: f64,
    },
    Gamma {
        shape: f64,
        scale: f64,
    },
    Hyperexponential {
        cumulative: Vec<f64>,
        means: Vec<f64>,
    },
    Lognormal {
        mu: f64,
        sigma: f64,
    },
    Weibull {
        scale: f64,
        exponent: f64,
    },
    Pareto {
        low: f64,
        exponent: f64,
        span: f64,
    },
    Triangular {
        low: f64,
        rise: f64,
        fall: f64,
        split: f64,
    },
    Discrete {
        cumulative: Vec<f64>,
        values: Vec<u64>,
    },
    /// One of these, each as likely.
    Empirical(Vec<u64>),
}

impl Sampler {
    pub(super) fn new(law: &Distribution) -> Self {
        const NS: f64 = 1e9;
        match law {
            Distribution::Deterministic { mean_s } => {
                Self::Constant(ns_from_seconds(*mean_s).unwrap_or(u64::MAX))
            }
            Distribution::Exponential { mean_s } => Self::Exponential { mean: mean_s * NS },
            Distribution::Uniform { low_s, high_s } => Self::Uniform {
                low: low_s * NS,
                span: (high_s - low_s) * NS,
            },
            Distribution::Erlang { k, mean_s } => Self::Erlang {
                k: *k,
                stage_mean: mean_s * NS / f64::from(*k),
            },
            Distribution::Gamma { mean_s, scv } => Self::Gamma {
                shape: 1.0 / scv,
                scale: mean_s * NS * scv,
            },
            Distribution::Hyperexponential { p, means_s } => Self::Hyperexponential {
                cumulative: running_sums(p),
                means: means_s.iter().map(|mean_s| mean_s * NS).collect(),
            },
            Distribution::Lognormal { mean_s, scv } => {
                let variance = libm::log1p(*scv);
                Self::Lognormal {
                    mu: libm::log(mean_s * NS) - variance / 2.0,
                    sigma: variance.sqrt(),
                }
            }
            Distribution::Weibull { shape, mean_s } => Self::Weibull {
                scale: mean_s * NS / libm::tgamma(1.0 + 1.0 / shape),
                exponent: 1.0 / shape,
            },
            Distribution::Pareto {
                alpha,
                low_s,
                high_s,
            } => Self::Pareto {
                low: low_s * NS,
                exponent: -1.0 / alpha,
                span: 1.0 - libm::pow(low_s / high_s, *alpha),
            },
            Distribution::Triangular {
                low_s,
                mode_s,
                high_s,
            } => Self::Triangular {
                low: low_s * NS,
                rise: (mode_s - low_s) * NS,
                fall: (high_s - mode_s) * NS,
                split: (mode_s - low_s) / (high_s - low_s),
            },
            Distribution::Empirical { values_s } => Self::Empirical(
                values_s
                    .iter()
                    .map(|value| ns_from_seconds(*value).unwrap_or(u64::MAX))
                    .collect(),
            ),
            Distribution::Discrete { values_s, p } => Self::Discrete {
                cumulative: running_sums(p),
                values: values_s
                    .iter()
                    .map(|value| ns_from_seconds(*value).unwrap_or(u64::MAX))
                    .collect(),
            },
        }
    }

    /// The next time in nanoseconds; past the end of the clock it saturates, and the clock refuses it.
    #[inline]
    pub(super) fn draw_ns(&self, stream: &mut Stream) -> u64 {
        if let Self::Exponential { mean } = self {
            return whole(mean * stream.exponential());
        }
        self.draw_other_ns(stream)
    }

    #[inline(never)]
    fn draw_other_ns(&self, stream: &mut Stream) -> u64 {
        match self {
            Self::Constant(ns) => *ns,
            Self::Exponential { mean } => whole(mean * stream.exponential()),
            Self::Uniform { low, span } => whole(low + span * stream.uniform()),
            Self::Erlang { k, stage_mean } => {
                let stages: f64 = (0..*k).map(|_| stream.exponential()).sum();
                whole(stage_mean * stages)
            }
            Self::Gamma { shape, scale } => whole(scale * gamma(*shape, stream)),
            Self::Hyperexponential { cumulative, means } => {
                let phase = pick(cumulative, stream);
                whole(means[phase] * stream.exponential())
            }
            Self::Lognormal { mu, sigma } => whole(libm::exp(mu + sigma * stream.normal())),
            Self::Weibull { scale, exponent } => {
                whole(scale * libm::pow(stream.exponential(), *exponent))
            }
            Self::Pareto {
                low,
                exponent,
                span,
            } => whole(low * libm::pow(1.0 - stream.uniform() * span, *exponent)),
            Self::Triangular {
                low,
                rise,
                fall,
                split,
            } => {
                let u = stream.uniform();
                if u < *split {
                    whole(low + rise * (u / split).sqrt())
                } else {
                    whole(low + rise + fall * (1.0 - ((1.0 - u) / (1.0 - split)).sqrt()))
                }
            }
            Self::Discrete { cumulative, values } => values[pick(cumulative, stream)],
            Self::Empirical(values) => {
                // A scenario holds fewer than 2^32 samples.
                values[stream.below(u32::try_from(values.len()).unwrap_or(u32::MAX)) as usize]
            }
        }
    }
}

/// Position of the first cumulative share above a uniform number; the last share is 1.
#[inline]
pub(super) fn pick(cumulative: &[f64], stream: &mut Stream) -> usize {
    let u = stream.uniform();
    cumulative
        .iter()
        .position(|share| u < *share)
        .unwrap_or(cumulative.len() - 1)
}

fn running_sums(p: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    p.iter()
        .map(|p| {
            sum += p;
            sum
        })
        .collect()
}

/// Gamma with scale 1 (Marsaglia & Tsang 2000; below shape 1 by their boost).
fn gamma(shape: f64, stream: &mut Stream) -> f64 {
    if shape < 1.0 {
        let boost = libm::pow(1.0 - stream.uniform(), 1.0 / shape);
        return gamma(shape + 1.0, stream) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = stream.normal();
        let base = 1.0 + c * x;
        if base <= 0.0 {
            continue;
        }
        let v = base * base * base;
        let u = 1.0 - stream.uniform();
        if libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

/// Rounds to whole nanoseconds; floats past the range saturate.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are not negative, and saturation is refused by the clock"
)]
pub(super) fn whole(ns: f64) -> u64 {
    let ns = ns + 0.5;
    // Half the range takes one instruction where the whole takes ten.
    if ns < 9e18 {
        ns as i64 as u64
    } else {
        ns as u64
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "times of a test are short")]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_moments_of_their_law() {
        let laws = [
            Distribution::Deterministic { mean_s: 0.25 },
            Distribution::Exponential { mean_s: 2.0 },
            Distribution::Uniform {
                low_s: 1.0,
                high_s: 4.0,
            },
            Distribution::Erlang { k: 3, mean_s: 1.5 },
            Distribution::Gamma {
                mean_s: 1.0,
                scv: 0.4,
            },
            Distribution::Gamma {
                mean_s: 1.0,
                scv: 2.5,
            },
            Distribution::Hyperexponential {
                p: vec![0.9, 0.1],
                means_s: vec![0.5, 5.5],
            },
            Distribution::Lognormal {
                mean_s: 0.2,
                scv: 0.8,
            },
            Distribution::Weibull {
                shape: 1.5,
                mean_s: 3.0,
            },
            Distribution::Pareto {
                alpha: 2.5,
                low_s: 1.0,
                high_s: 50.0,
            },
            Distribution::Triangular {
                low_s: 1.0,
                mode_s: 1.5,
                high_s: 4.0,
            },
            Distribution::Discrete {
                values_s: vec![1.0, 2.0, 7.0],
                p: vec![0.5, 0.3, 0.2],
            },
        ];
        for law in laws {
            let sampler = Sampler::new(&law);
            let mut stream = Stream::new(3, "test", "moments");
            let count = 400_000;
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..count {
                let x = sampler.draw_ns(&mut stream) as f64 / 1e9;
                sum += x;
                squares += x * x;
            }
            let (mean, second) = (sum / f64::from(count), squares / f64::from(count));
            let exact = law.mean_s();
            // Five standard errors of the mean; the second moment is looser as its variance is not known here.
            let error =
                ((law.second_moment_s2() - exact * exact).max(0.0) / f64::from(count)).sqrt();
            assert!(
                (mean - exact).abs() <= 5.0 * error + 1e-9,
                "{law:?}: mean {mean}, not {exact}"
            );
            let ratio = second / law.second_moment_s2();
            assert!(
                (ratio - 1.0).abs() < 0.03,
                "{law:?}: second moment off by {ratio}"
            );
        }
    }
}
