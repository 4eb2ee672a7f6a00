//! Random laws and arrival processes.
//!
//! Belongs here: their parameters. Does not belong here: where they are used (generate).

use super::generate::Maker;
use super::tree::{inline, list, text};
use toml::Value;

const LAWS: &[&str] = &[
    "deterministic",
    "exponential",
    "exponential",
    "exponential",
    "uniform",
    "erlang",
    "gamma",
    "hyperexponential",
    "hyperexponential by phases",
    "lognormal",
    "weibull",
    "pareto",
    "pareto without end",
    "triangular",
    "discrete",
];
const PROCESSES: &[&str] = &[
    "poisson",
    "poisson",
    "poisson",
    "regular",
    "renewal",
    "mmpp",
    "diurnal",
    "steps",
    "closed",
    "closed without thinking",
];

impl Maker<'_> {
    /// A time of about this mean, never 0.
    pub(super) fn law(&mut self, about_s: f64) -> Value {
        let mean = self.dice.between(0.3 * about_s, 2.0 * about_s);
        let number = Value::Float;
        let name = self.known(LAWS, "exponential");
        match name {
            "uniform" => inline([
                ("dist", text(name)),
                ("low_s", number(mean / 2.0)),
                ("high_s", number(mean * 1.5)),
            ]),
            "erlang" => inline([
                ("dist", text(name)),
                ("k", Value::Integer(self.dice.whole(1, 6))),
                ("mean_s", number(mean)),
            ]),
            "gamma" | "lognormal" => inline([
                ("dist", text(name)),
                ("mean_s", number(mean)),
                ("scv", number(self.dice.between(0.2, 4.0))),
            ]),
            "hyperexponential" => inline([
                ("dist", text(name)),
                ("mean_s", number(mean)),
                ("scv", number(self.dice.between(1.1, 8.0))),
            ]),
            "hyperexponential by phases" => inline([
                ("dist", text("hyperexponential")),
                ("p", list([0.25, 0.75])),
                ("means_s", list([mean * 2.0, mean / 2.0])),
            ]),
            "weibull" => inline([
                ("dist", text(name)),
                ("shape", number(self.dice.between(0.6, 3.0))),
                ("mean_s", number(mean)),
            ]),
            "pareto" => inline([
                ("dist", text(name)),
                ("alpha", number(self.dice.between(1.1, 3.0))),
                ("low_s", number(mean / 3.0)),
                ("high_s", number(mean * 20.0)),
            ]),
            "pareto without end" => inline([
                ("dist", text("pareto")),
                ("alpha", number(self.dice.between(2.1, 4.0))),
                ("low_s", number(mean / 2.0)),
            ]),
            "triangular" => inline([
                ("dist", text(name)),
                ("low_s", number(mean / 4.0)),
                ("mode_s", number(mean)),
                ("high_s", number(mean * 2.0)),
            ]),
            "discrete" => inline([
                ("dist", text(name)),
                ("values_s", list([mean / 2.0, mean, mean * 3.0])),
                ("p", list([0.5, 0.25, 0.25])),
            ]),
            _ => inline([("dist", text(name)), ("mean_s", number(mean))]),
        }
    }

    /// About this many a second in the long run.
    pub(super) fn arrivals(&mut self, rate_per_s: f64) -> Value {
        let number = Value::Float;
        match self.known(PROCESSES, "poisson") {
            "regular" => inline([
                ("process", text("deterministic")),
                ("every_s", number(1.0 / rate_per_s)),
            ]),
            "renewal" => {
                let mut law = self.law(1.0 / rate_per_s);
                if let Value::Table(keys) = &mut law {
                    keys.insert("process".to_owned(), text("renewal"));
                }
                law
            }
            "mmpp" => inline([
                ("process", text("mmpp")),
                ("rates_per_s", list([rate_per_s * 1.8, rate_per_s * 0.2])),
                (
                    "switch_per_s",
                    list([
                        list([0.0, rate_per_s / 20.0]),
                        list([rate_per_s / 10.0, 0.0]),
                    ]),
                ),
            ]),
            "diurnal" => inline([
                ("process", text("diurnal")),
                ("rate_per_s", number(rate_per_s)),
                ("amplitude", number(self.dice.unit())),
                ("period_s", number(100.0 / rate_per_s)),
                ("phase_s", number(self.dice.between(1.0, 50.0) / rate_per_s)),
            ]),
            "steps" => {
                let end_s = 100.0 / rate_per_s;
                let steps = [
                    [0.0, rate_per_s],
                    [end_s / 3.0, 0.0],
                    [end_s / 2.0, rate_per_s * 3.0],
                    [end_s, rate_per_s / 2.0],
                ];
                inline([("process", text("steps")), ("steps", list(steps.map(list)))])
            }
            "closed" => {
                let users = self.dice.whole(1, 20);
                inline([
                    ("process", text("closed")),
                    ("users", Value::Integer(users)),
                    ("think", self.law(users as f64 / rate_per_s)),
                ])
            }
            "closed without thinking" => inline([
                ("process", text("closed")),
                ("users", Value::Integer(self.dice.whole(1, 6))),
            ]),
            _ => inline([
                ("process", text("poisson")),
                ("rate_per_s", number(rate_per_s)),
            ]),
        }
    }
}
