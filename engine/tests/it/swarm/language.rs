//! The table of what the language can say: each entry is tried once, and used where it is accepted.
//!
//! Belongs here: one line per feature. Does not belong here: when it is used (generate, rules, laws).
//!
//! To let the swarm use a new feature: add its line here, and where it is written draw with
//! `maker.may("name", chance)`. What a line needs beyond its own key is part of the text.

use flowreel_engine::scenario::load;
use std::collections::BTreeSet;

/// Where a feature is written.
#[derive(Clone, Copy, Debug)]
enum At {
    Top(&'static str),
    Class(&'static str),
    Arrivals(&'static str),
    Law(&'static str),
    Rule(&'static str),
    Station(&'static str),
    Ladder(&'static str),
    Fault(&'static str),
}
use At::{Arrivals, Class, Fault, Ladder, Law, Rule, Station, Top};

/// Name and the shortest text that uses it.
const FEATURES: &[(&str, At)] = &[
    (
        "poisson",
        Arrivals("process = \"poisson\", rate_per_s = 1.0"),
    ),
    (
        "regular",
        Arrivals("process = \"deterministic\", every_s = 1.0"),
    ),
    (
        "renewal",
        Arrivals("process = \"renewal\", dist = \"erlang\", k = 2, mean_s = 1.0"),
    ),
    (
        "mmpp",
        Arrivals(
            "process = \"mmpp\", rates_per_s = [1.0, 2.0], switch_per_s = [[0.0, 1.0], [1.0, 0.0]]",
        ),
    ),
    (
        "diurnal",
        Arrivals(
            "process = \"diurnal\", rate_per_s = 1.0, amplitude = 0.5, period_s = 10.0, phase_s = 1.0",
        ),
    ),
    (
        "steps",
        Arrivals("process = \"steps\", steps = [[0.0, 1.0], [2.0, 0.0], [3.0, 2.0]]"),
    ),
    (
        "closed",
        Arrivals(
            "process = \"closed\", users = 3, think = { dist = \"exponential\", mean_s = 1.0 }",
        ),
    ),
    (
        "closed without thinking",
        Arrivals("process = \"closed\", users = 3"),
    ),
    (
        "deterministic",
        Law("dist = \"deterministic\", mean_s = 1.0"),
    ),
    ("exponential", Law("dist = \"exponential\", mean_s = 1.0")),
    (
        "uniform",
        Law("dist = \"uniform\", low_s = 0.5, high_s = 1.0"),
    ),
    ("erlang", Law("dist = \"erlang\", k = 3, mean_s = 1.0")),
    ("gamma", Law("dist = \"gamma\", mean_s = 1.0, scv = 0.5")),
    (
        "hyperexponential",
        Law("dist = \"hyperexponential\", mean_s = 1.0, scv = 3.0"),
    ),
    (
        "hyperexponential by phases",
        Law("dist = \"hyperexponential\", p = [0.25, 0.75], means_s = [1.0, 2.0]"),
    ),
    (
        "lognormal",
        Law("dist = \"lognormal\", mean_s = 1.0, scv = 2.0"),
    ),
    (
        "weibull",
        Law("dist = \"weibull\", shape = 0.7, mean_s = 1.0"),
    ),
    (
        "pareto",
        Law("dist = \"pareto\", alpha = 1.5, low_s = 0.1, high_s = 5.0"),
    ),
    (
        "pareto without end",
        Law("dist = \"pareto\", alpha = 2.5, low_s = 0.1"),
    ),
    (
        "triangular",
        Law("dist = \"triangular\", low_s = 0.1, mode_s = 0.2, high_s = 1.0"),
    ),
    (
        "discrete",
        Law("dist = \"discrete\", values_s = [0.5, 1.0], p = [0.5, 0.5]"),
    ),
    (
        "round-robin",
        Rule("{ choose = \"round-robin\", among = [\"s\", \"t\"] }"),
    ),
    (
        "random",
        Rule("{ choose = \"random\", among = [\"s\", \"t\"] }"),
    ),
    (
        "weighted",
        Rule("{ choose = \"weighted\", among = [\"s\", \"t\"], weights = [1.0, 2.0] }"),
    ),
    (
        "least-connections",
        Rule("{ choose = \"least-connections\", among = [\"s\", \"t\"] }"),
    ),
    (
        "least-work-left",
        Rule("{ choose = \"least-work-left\", among = [\"s\", \"t\"] }"),
    ),
    (
        "power-of-two",
        Rule("{ choose = \"power-of-two\", among = [\"s\", \"t\"] }"),
    ),
    (
        "power-of-two with replacement",
        Rule("{ choose = \"power-of-two\", d = 3, replace = true, among = [\"s\", \"t\"] }"),
    ),
    (
        "sticky",
        Rule("{ choose = \"sticky\", by = \"user\", among = [\"s\", \"t\"] }"),
    ),
    (
        "hash",
        Rule("{ choose = \"hash\", among = [\"s\", \"t\"] }"),
    ),
    (
        "probability",
        Rule("{ probability = [ { to = \"s\", p = 0.5 }, { to = \"done\", p = 0.5 } ] }"),
    ),
    (
        "by_class",
        Rule("{ by_class = { a = \"s\", default = \"t\" } }"),
    ),
    ("copy", Rule("{ copy = [\"s\", \"t\"] }")),
    ("fork", Rule("{ fork = [\"s\", \"t\"], join = \"done\" }")),
    (
        "fork at a station",
        Rule("{ fork = [\"s\"], join = \"t\" }"),
    ),
    (
        "fork for a quorum",
        Rule("{ fork = [\"s\", \"t\"], join = \"done\", wait_for = 1 }"),
    ),
    (
        "fork in copies",
        Rule("{ fork = [\"s\"], join = \"done\", copies = 3 }"),
    ),
    ("hedge", Rule("{ hedge = [\"s\", \"t\"], after_s = 0.5 }")),
    (
        "hedge of d",
        Rule("{ hedge = [\"s\", \"t\"], after_s = 0.0, d = 2 }"),
    ),
    (
        "service_by_class",
        Station("service_by_class = { a = { dist = \"exponential\", mean_s = 1.0 } }"),
    ),
    ("capacity", Station("capacity = 3")),
    ("on_full", Station("capacity = 3\non_full = \"t\"")),
    ("block", Station("capacity = 3\non_full = \"block\"")),
    (
        "patience",
        Station("patience = { dist = \"exponential\", mean_s = 1.0 }"),
    ),
    (
        "on_abandon",
        Station("patience = { dist = \"exponential\", mean_s = 1.0 }\non_abandon = \"t\""),
    ),
    ("timeout", Station("timeout_s = 2.0")),
    (
        "rate limit",
        Station("rate_limit = { per_s = 2.0, burst = 3 }"),
    ),
    (
        "rate limit that drops",
        Station("rate_limit = { per_s = 2.0, burst = 3, when_empty = \"drop\" }"),
    ),
    (
        "rate limit in ticks",
        Station("rate_limit = { per_s = 2.0, burst = 3, refill = \"tick\" }"),
    ),
    (
        "failure",
        Station("failure = { probability = 0.1 }\non_failure = \"t\""),
    ),
    (
        "breaker",
        Station("breaker = { failures = 3, window_s = 5.0, open_s = 2.0 }"),
    ),
    ("calls", Station("calls = \"t\"")),
    (
        "calls by rule",
        Station("calls = { choose = \"random\", among = [\"t\"] }"),
    ),
    (
        "split-merge",
        Station("calls = { fork = [\"t\", \"t\"], join = \"done\" }"),
    ),
    ("lifo", Station("discipline = \"lifo\"")),
    (
        "lifo-preemptive",
        Station("discipline = \"lifo-preemptive\""),
    ),
    ("random order", Station("discipline = \"random\"")),
    ("priority", Station("discipline = \"priority\"")),
    (
        "preemptive-priority",
        Station("discipline = \"preemptive-priority\""),
    ),
    (
        "processor-sharing",
        Station("discipline = \"processor-sharing\""),
    ),
    ("sjf", Station("discipline = \"sjf\"")),
    ("srpt", Station("discipline = \"srpt\"")),
    ("las", Station("discipline = \"las\"")),
    (
        "batch_service",
        Station("batch_service = { max = 4, min = 1, linger_s = 0.0 }"),
    ),
    (
        "setup",
        Station("setup = { dist = \"exponential\", mean_s = 1.0 }"),
    ),
    (
        "breakdown",
        Station(
            "breakdown = { up = { dist = \"exponential\", mean_s = 9.0 }, down = { dist = \"exponential\", mean_s = 1.0 } }",
        ),
    ),
    (
        "autoscale",
        Station(
            "autoscale = { min = 1, max = 8, target_utilization = 0.7, every_s = 1.0, up_lag_s = 2.0, down_lag_s = 3.0 }",
        ),
    ),
    ("ladder", Ladder("then = \"t\"")),
    ("ladder for ever", Ladder("last = \"repeat\"")),
    ("budget", Ladder("budget_per_s = 1.0")),
    ("attempts", Ladder("attempts = 3")),
    (
        "backoff",
        Ladder("backoff = { first_s = 0.1, factor = 2.0, max_s = 5.0, jitter = 0.2 }"),
    ),
    ("down", Fault("kind = \"down\"")),
    ("pause", Fault("kind = \"pause\"")),
    ("slow", Fault("kind = \"slow\"\nfactor = 3.0")),
    (
        "error-rate",
        Fault("kind = \"error-rate\"\nprobability = 0.5"),
    ),
    (
        "delay",
        Fault("kind = \"delay\"\ndist = \"exponential\"\nmean_s = 0.5"),
    ),
    ("disconnect", Fault("kind = \"disconnect\"")),
    ("deadline", Class("deadline_s = 1.0")),
    ("observe", Top("observe_at_s = [1.0, 5.0]")),
];

/// Not drawn yet: its line in the table writes a delay beside `backoff`, which is refused.
const LATER: &[&str] = &["backoff"];

/// What the language accepts today.
#[derive(Clone, Debug)]
pub(super) struct Language(BTreeSet<&'static str>);

impl Language {
    /// Tries every feature once.
    pub(super) fn probe() -> Self {
        let known = FEATURES
            .iter()
            .filter(|(_, at)| load(&probe_text(*at), &[]).is_ok());
        Self(known.map(|(name, _)| *name).collect())
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        assert!(
            FEATURES.iter().any(|(feature, _)| *feature == name),
            "`{name}` has no line in the table"
        );
        self.0.contains(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }

    /// Features that are neither accepted nor expected later.
    pub(super) fn lost(&self) -> Vec<&'static str> {
        let names = FEATURES.iter().map(|(name, _)| *name);
        names
            .filter(|name| !self.0.contains(name) && !LATER.contains(name))
            .collect()
    }
}

fn probe_text(at: At) -> String {
    let mut parts = [""; 8];
    parts[2] = "process = \"poisson\", rate_per_s = 1.0";
    parts[3] = "dist = \"exponential\", mean_s = 1.0";
    parts[4] = "\"s\"";
    let (index, text) = match at {
        Top(text) => (0, text),
        Class(text) => (1, text),
        Arrivals(text) => (2, text),
        Law(text) => (3, text),
        Rule(text) => (4, text),
        Station(text) => (5, text),
        Ladder(text) => (6, text),
        Fault(text) => (7, text),
    };
    parts[index] = text;
    let [top, class, arrivals, law, rule, station, ladder, fault] = parts;
    let comma = if ladder.is_empty() { "" } else { ", " };
    let mut whole = format!(
        "schema = 1\nname = \"probe\"\nduration = \"10s\"\n{top}\n\
         [[class]]\nid = \"a\"\n{class}\n[[class]]\nid = \"b\"\n\
         [[source]]\nid = \"clients\"\narrivals = {{ {arrivals} }}\nto = {rule}\n\
         {users}\
         [[station]]\nid = \"s\"\nservice = {{ {law} }}\n{station}\n\
         [[station]]\nid = \"t\"\nservice = {{ dist = \"exponential\", mean_s = 1.0 }}\n\
         failure = {{ probability = 0.1 }}\n\
         on_failure = {{ retry = [ {{ delay_s = 1.0, via = \"park\" }} ]{comma}{ladder} }}\n\
         [[station]]\nid = \"park\"\nkind = \"delay\"\nservers = \"infinite\"\n",
        users = if arrivals.contains("closed") {
            ""
        } else {
            "users = 5\n"
        },
    );
    if !fault.is_empty() {
        whole += &format!("[[fault]]\nat = \"1s\"\nfor = \"2s\"\ntarget = \"s\"\n{fault}\n");
    }
    whole
}
