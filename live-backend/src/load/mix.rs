//! What arrives when: a Poisson process over classes, drawn from a seed before the run.
//!
//! Belongs here: random draws and the mix. Does not belong here: sending anything.

use crate::telemetry::Class;
use flowreel_engine::model::time::TimeNs;
use std::fmt;
use std::str::FromStr;

/// Most arrivals of one plan, about 200 MiB of them.
pub(super) const ARRIVAL_COUNT_MAX: usize = 5_000_000;

/// Shares of the classes among arrivals.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    weights: [f64; Class::ALL.len()],
}

impl Default for Mix {
    /// Every class, logins a little more often; the same as `scenarios/notification.toml`.
    fn default() -> Self {
        Self {
            weights: [0.15, 0.35, 0.1, 0.2, 0.2],
        }
    }
}

/// Why a text is no mix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no mix; write class=weight pairs such as `login=0.5,purchase=0.5`, with the classes \
     signup, login, reset-password, purchase and friend-request"
)]
pub struct ParseMixError {
    /// What was written.
    pub text: String,
}

impl FromStr for Mix {
    type Err = ParseMixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseMixError {
            text: text.chars().take(200).collect(),
        };
        let mut weights = [0.0; Class::ALL.len()];
        for pair in text.split(',') {
            let (name, weight) = pair.split_once('=').ok_or_else(error)?;
            let class = Class::from_name(name.trim()).ok_or_else(error)?;
            let weight: f64 = weight.trim().parse().map_err(|_number| error())?;
            if !(0.0..=1e9).contains(&weight) {
                return Err(error());
            }
            weights[class.id().index()] += weight;
        }
        if weights.iter().sum::<f64>() <= 0.0 {
            return Err(error());
        }
        Ok(Self { weights })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (class, weight) in Class::ALL.into_iter().zip(self.weights) {
            if weight > 0.0 {
                write!(f, "{separator}{}={weight}", class.name())?;
                separator = ",";
            }
        }
        Ok(())
    }
}

impl Mix {
    fn draw(&self, unit: f64) -> Class {
        let mut rest = unit * self.weights.iter().sum::<f64>();
        let mut drawn = Class::Login;
        for (class, weight) in Class::ALL.into_iter().zip(self.weights) {
            if weight > 0.0 {
                drawn = class;
                if rest < weight {
                    break;
                }
                rest -= weight;
            }
        }
        drawn
    }
}

/// One request to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it is meant to start, since the first one's time zero.
    pub intended: TimeNs,
    /// What it is.
    pub class: Class,
    /// Which user makes it, as a free number to be taken modulo the number of users.
    pub user: u64,
}

/// Poisson arrivals at `rate_per_s` until `duration_ns`, the same for the same seed.
#[must_use]
pub fn plan_arrivals(rate_per_s: f64, duration_ns: u64, mix: &Mix, seed: u64) -> Vec<Arrival> {
    let mut draws = Draws(seed);
    let mut arrivals = Vec::new();
    let mut at_ns = 0_u64;
    while arrivals.len() < ARRIVAL_COUNT_MAX {
        let gap_s = -(1.0 - draws.unit()).ln() / rate_per_s;
        let Some(next_ns) = flowreel_engine::model::time::ns_from_seconds(gap_s)
            .and_then(|gap_ns| at_ns.checked_add(gap_ns))
            .filter(|&next_ns| next_ns < duration_ns)
        else {
            break;
        };
        at_ns = next_ns;
        arrivals.push(Arrival {
            intended: TimeNs(at_ns),
            class: mix.draw(draws.unit()),
            user: draws.next(),
        });
    }
    arrivals
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In `0.0..1.0`, 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float exactly")]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_come_at_their_rate_and_in_their_mix() {
        let mix: Mix = "login=3,purchase=1".parse().expect("a mix");
        let arrivals = plan_arrivals(100.0, 100_000_000_000, &mix, 7);
        // 10,000 expected, standard deviation 100.
        assert!(
            (9_600..10_400).contains(&arrivals.len()),
            "{}",
            arrivals.len()
        );
        let logins = arrivals.iter().filter(|a| a.class == Class::Login).count();
        let share = logins * 1000 / arrivals.len();
        assert!((730..770).contains(&share), "{share}");
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.intended));
        // Squared coefficient of variation of exponential gaps is 1.
        let gaps: Vec<f64> = arrivals
            .windows(2)
            .map(|pair| pair[1].intended.as_s() - pair[0].intended.as_s())
            .collect();
        let count = gaps.iter().map(|_| 1.0).sum::<f64>();
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        let scv = variance / mean.powi(2);
        assert!((0.9..1.1).contains(&scv), "{scv}");
    }

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        let mix = Mix::default();
        let plan = |seed| plan_arrivals(5.0, 10_000_000_000, &mix, seed);
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }

    #[test]
    fn mixes_come_back_from_their_text_and_nonsense_is_refused() {
        let mix: Mix = "signup=1,friend-request=0.5".parse().expect("a mix");
        assert_eq!(mix.to_string().parse(), Ok(mix));
        for text in [
            "",
            "login",
            "login=-1",
            "login=NaN",
            "login=0",
            "logout=1",
            "login=1,,",
        ] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }
}
