//! What arrives when: intended starts drawn from a seed and a profile of rates, and from nothing else.
//!
//! Belongs here: random draws and the order of arrivals. Does not belong here: sending anything. Nothing
//! here ever hears of an answer, so a slow backend cannot slow the arrivals down.

use super::mix::Mix;
use super::profile::Profile;
use crate::telemetry::Class;
use flowreel_engine::model::time::TimeNs;

/// How far apart arrivals are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Spacing {
    /// As many independent people come.
    #[default]
    Poisson,
    /// As a clock ticks.
    Even,
}

impl Spacing {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Even => "even",
        }
    }
}

/// One request to make, or one session to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it is meant to start, since the run's begin.
    pub intended: TimeNs,
    /// What it is.
    pub class: Class,
    /// Which user makes it, as a free number to be taken modulo the number of users.
    pub user: u64,
}

/// Arrivals in order of time until the duration is over, the same for the same settings.
#[derive(Clone, Debug)]
pub struct Schedule {
    profile: Profile,
    spacing: Spacing,
    mix: Mix,
    duration_ns: u64,
    seed: u64,
}

impl Schedule {
    /// A schedule; it draws when it is gone through.
    #[must_use]
    pub const fn new(
        profile: Profile,
        spacing: Spacing,
        mix: Mix,
        duration_ns: u64,
        seed: u64,
    ) -> Self {
        Self {
            profile,
            spacing,
            mix,
            duration_ns,
            seed,
        }
    }

    /// The arrivals.
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival> + '_ {
        let mut draws = Draws::new(self.seed);
        let mut moments = self.profile.moments();
        // A process in the profile's own time, in which one request is expected per unit.
        let mut area = match self.spacing {
            Spacing::Poisson => 0.0,
            Spacing::Even => -0.5,
        };
        std::iter::from_fn(move || {
            area += match self.spacing {
                Spacing::Poisson => draws.exponential(),
                Spacing::Even => 1.0,
            };
            let intended = moments.at(area).filter(|at| at.0 < self.duration_ns)?;
            Some(Arrival {
                intended,
                class: self.mix.draw(draws.unit()),
                user: draws.number(),
            })
        })
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In `0.0..1.0`, 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float exactly")]
    pub(super) fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(profile: &str, spacing: Spacing, seed: u64) -> Vec<Arrival> {
        let profile = profile.parse().expect("a profile");
        let mix = "login=3,purchase=1".parse().expect("a mix");
        Schedule::new(profile, spacing, mix, 100_000_000_000, seed)
            .arrivals()
            .collect()
    }

    #[test]
    fn arrivals_come_at_their_rate_and_in_their_mix() {
        let arrivals = schedule("100:1s", Spacing::Poisson, 7);
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
    fn a_ramp_brings_its_arrivals_late() {
        let arrivals = schedule("0..200:100s", Spacing::Poisson, 3);
        let early = arrivals
            .iter()
            .filter(|arrival| arrival.intended.as_s() < 50.0)
            .count();
        // A quarter of a triangle's area lies in its first half: 2,500 of 10,000, standard deviation 50.
        assert!((2_300..2_700).contains(&early), "{early}");
        assert!(
            (9_600..10_400).contains(&arrivals.len()),
            "{}",
            arrivals.len()
        );
    }

    #[test]
    fn even_arrivals_keep_their_distance() {
        let arrivals = schedule("50:1s", Spacing::Even, 1);
        assert_eq!(arrivals.len(), 5_000);
        assert!(arrivals.windows(2).all(|pair| {
            let gap_ns = pair[1].intended.0 - pair[0].intended.0;
            (19_999_000..=20_001_000).contains(&gap_ns)
        }));
    }

    #[test]
    fn the_same_seed_gives_the_same_arrivals() {
        let of = |seed| schedule("5:1s,50:1s,repeat", Spacing::Poisson, seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
