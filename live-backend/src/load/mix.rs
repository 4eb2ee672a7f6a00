//! The mix: how often each of the five kinds of request occurs among the others.
//!
//! Belongs here: its text and one draw from it. Does not belong here: when requests come (schedule.rs).

use crate::telemetry::Class;
use std::fmt;
use std::str::FromStr;

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
    /// The class at that share of the whole, `unit` in `0.0..1.0`.
    pub(super) fn draw(&self, unit: f64) -> Class {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_a_class_of_the_mix() {
        let mix: Mix = "login=3,purchase=1".parse().expect("a mix");
        assert_eq!(mix.draw(0.0), Class::Login);
        assert_eq!(mix.draw(0.74), Class::Login);
        assert_eq!(mix.draw(0.76), Class::Purchase);
        assert_eq!(mix.draw(1.0), Class::Purchase);
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
