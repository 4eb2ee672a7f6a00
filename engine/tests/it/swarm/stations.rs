//! Random stations: servers, queues, and every limit they may have.
//!
//! Belongs here: the keys of one station. Does not belong here: which stations there are (generate),
//! rules (rules), laws (laws).

use super::generate::{Maker, Node, Part};
use super::tree::{inline, table, text};
use toml::{Table, Value};

const KINDS: &[&str] = &[
    "server",
    "server",
    "worker",
    "smtp",
    "websocket",
    "database",
    "balancer",
    "middleware",
    "controller",
    "external",
];
const DISCIPLINES: &[(&str, &str)] = &[
    ("lifo", "lifo"),
    ("lifo-preemptive", "lifo-preemptive"),
    ("random order", "random"),
    ("priority", "priority"),
    ("preemptive-priority", "preemptive-priority"),
    ("processor-sharing", "processor-sharing"),
    ("sjf", "sjf"),
    ("srpt", "srpt"),
    ("las", "las"),
];

impl Maker<'_> {
    pub(super) fn station(&mut self, index: usize) -> Value {
        let Node { id, part } = self.nodes[index].clone();
        let mut station = table([("id", text(&id))]);
        match part {
            Part::Keep => {
                station.insert("kind".to_owned(), text("queue"));
            }
            Part::Queue(workers) => {
                station.insert("kind".to_owned(), text("queue"));
                let names: Vec<Value> = (1..=workers)
                    .map(|step| text(&self.nodes[index + step].id))
                    .collect();
                let next = match names.as_slice() {
                    [one] => one.clone(),
                    _ => inline([
                        ("choose", text("round-robin")),
                        ("among", Value::Array(names)),
                    ]),
                };
                station.insert("next".to_owned(), next);
                self.room(index, 2, &mut station);
                self.patience(index, &mut station);
            }
            Part::Serve | Part::Worker => self.server(index, part, &mut station),
        }
        Value::Table(station)
    }

    fn server(&mut self, index: usize, part: Part, station: &mut Table) {
        let kind = if part == Part::Worker {
            "worker"
        } else {
            self.dice.one_of(KINDS)
        };
        let servers = self.dice.whole(1, 4);
        let is_infinite = self.dice.chance(0.1);
        let mut put = |key: &str, value: Value| {
            station.insert(key.to_owned(), value);
        };
        put("kind", text(kind));
        put(
            "servers",
            if is_infinite {
                text("infinite")
            } else {
                Value::Integer(servers)
            },
        );
        put("service", self.law(self.scale_s));
        if !self.classes.is_empty() && self.may("service_by_class", 0.15) {
            let class = self.classes[self.dice.below(self.classes.len())].clone();
            let law = self.law(self.scale_s);
            put("service_by_class", inline([(class.as_str(), law)]));
        }
        let special = self.dice.below(8);
        if !is_infinite && special < 3 {
            let (feature, name) = DISCIPLINES[self.dice.below(DISCIPLINES.len())];
            if self.may(feature, 1.0) {
                put("discipline", text(name));
            }
        }
        if special == 3 && !is_infinite && self.may("batch_service", 0.5) {
            let most = self.dice.whole(1, 5);
            let least = Value::Integer(self.dice.whole(1, most));
            let linger = Value::Float(if self.dice.chance(0.5) {
                0.0
            } else {
                self.scale_s
            });
            put(
                "batch_service",
                inline([
                    ("max", Value::Integer(most)),
                    ("min", least),
                    ("linger_s", linger),
                ]),
            );
        }
        if special == 4 && !is_infinite && self.may("setup", 0.5) {
            put("setup", self.law(self.scale_s));
        }
        if special == 5 && !is_infinite && self.may("breakdown", 0.5) {
            let (up, down) = (self.law(self.scale_s * 10.0), self.law(self.scale_s));
            put("breakdown", inline([("up", up), ("down", down)]));
        }
        if special == 6 && !is_infinite && self.may("autoscale", 0.5) {
            let float = Value::Float;
            put(
                "autoscale",
                inline([
                    ("min", Value::Integer(self.dice.whole(1, servers))),
                    ("max", Value::Integer(self.dice.whole(servers, 8))),
                    ("target_utilization", float(0.7)),
                    ("every_s", float(self.scale_s * 3.0)),
                    (
                        "up_lag_s",
                        float(self.scale_s * self.dice.between(0.1, 5.0)),
                    ),
                    (
                        "down_lag_s",
                        float(self.scale_s * self.dice.between(0.1, 9.0)),
                    ),
                ]),
            );
        }
        self.limits(index, station);
        self.room(index, servers, station);
        self.patience(index, station);
        if self.may("failure", 0.25) {
            let p = Value::Float(self.dice.between(0.02, 0.7));
            station.insert("failure".to_owned(), inline([("probability", p)]));
            if self.dice.chance(0.7) {
                station.insert("on_failure".to_owned(), self.rule(Some(index), true));
            }
        }
        self.calls(index, station);
        station.insert("next".to_owned(), self.rule(Some(index), false));
    }

    fn limits(&mut self, _index: usize, station: &mut Table) {
        if self.may("rate limit", 0.12) {
            let mut limit = table([
                (
                    "per_s",
                    Value::Float(self.dice.between(0.5, 5.0) / self.scale_s),
                ),
                ("burst", Value::Integer(self.dice.whole(1, 5))),
            ]);
            if self.may("rate limit that drops", 0.3) {
                limit.insert("when_empty".to_owned(), text("drop"));
            }
            if self.may("rate limit in ticks", 0.3) {
                limit.insert("refill".to_owned(), text("tick"));
            }
            station.insert("rate_limit".to_owned(), Value::Table(limit));
        }
        if self.may("timeout", 0.12) {
            let limit = self.dice.between(0.5, 10.0) * self.scale_s;
            station.insert(
                "timeout_s".to_owned(),
                Value::Float(super::dice::round(limit)),
            );
        }
        if self.may("breaker", 0.08) {
            let float = Value::Float;
            let breaker = inline([
                ("failures", Value::Integer(self.dice.whole(1, 5))),
                ("window_s", float(self.scale_s * 10.0)),
                ("open_s", float(self.scale_s * self.dice.between(1.0, 20.0))),
            ]);
            station.insert("breaker".to_owned(), breaker);
        }
    }

    fn room(&mut self, index: usize, least: i64, station: &mut Table) {
        if !self.may("capacity", 0.25) {
            return;
        }
        let capacity = least + self.dice.whole(0, 5);
        station.insert("capacity".to_owned(), Value::Integer(capacity));
        if self.may("block", 0.2) {
            station.insert("on_full".to_owned(), text("block"));
        } else if self.may("on_full", 0.5) {
            station.insert("on_full".to_owned(), self.rule(Some(index), true));
        }
    }

    fn patience(&mut self, index: usize, station: &mut Table) {
        if self.may("patience", 0.2) {
            let about_s = self.scale_s * self.dice.between(0.3, 5.0);
            station.insert("patience".to_owned(), self.law(about_s));
            if self.may("on_abandon", 0.5) {
                station.insert("on_abandon".to_owned(), self.rule(Some(index), true));
            }
        }
    }

    fn calls(&mut self, index: usize, station: &mut Table) {
        let callees: Vec<String> = self.nodes[index + 1..]
            .iter()
            .filter(|node| node.part == Part::Serve)
            .map(|node| node.id.clone())
            .collect();
        let (wants, by_rule, split) = (
            self.may("calls", 0.15),
            self.may("calls by rule", 0.3),
            self.may("split-merge", 0.3),
        );
        if callees.is_empty() || !wants {
            return;
        }
        let one = text(&callees[self.dice.below(callees.len())]);
        let other = text(&callees[self.dice.below(callees.len())]);
        let calls = if split {
            inline([
                ("fork", super::tree::list([one, other])),
                ("join", text("done")),
            ])
        } else if by_rule {
            inline([
                ("choose", text("random")),
                ("among", super::tree::list([one, other])),
            ])
        } else {
            one
        };
        station.insert("calls".to_owned(), calls);
    }
}
