//! Random scenarios: layered graphs with everything the language can say, valid by construction.
//!
//! Belongs here: which stations there are, and their keys. Does not belong here: rules (rules),
//! laws and arrivals (laws), what must hold (witness).

use super::dice::Dice;
use super::language::Language;
use super::tree::{inline, table, text};
use std::collections::BTreeSet;
use toml::{Table, Value};

/// What a station of the graph is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Serve,
    /// A queue, and how many of the nodes that follow it are its workers.
    Queue(usize),
    Worker,
    Keep,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) part: Part,
}

/// A scenario in the making.
pub(super) struct Maker<'a> {
    pub(super) dice: Dice,
    language: &'a Language,
    pub(super) used: BTreeSet<&'static str>,
    pub(super) classes: Vec<String>,
    pub(super) nodes: Vec<Node>,
    pub(super) parks: Vec<String>,
    pub(super) has_users: bool,
    /// Requests may come back to earlier stations.
    pub(super) loops: bool,
    /// Rules that multiply requests, still to be given away.
    pub(super) branches: u32,
    /// A typical service time.
    pub(super) scale_s: f64,
}

/// One scenario and the features in it.
pub(super) struct Generated {
    pub(super) tree: Table,
    pub(super) used: BTreeSet<&'static str>,
}

/// The scenario of that seed.
pub(super) fn generate(seed: u64, language: &Language) -> Generated {
    let mut dice = Dice::new(seed);
    let scale_s = dice.between(0.01, 10.0);
    let loops = dice.chance(0.3);
    let branches = if loops {
        u32::from(dice.chance(0.2))
    } else {
        3
    };
    let mut maker = Maker {
        dice,
        language,
        used: BTreeSet::new(),
        classes: Vec::new(),
        nodes: Vec::new(),
        parks: Vec::new(),
        has_users: false,
        loops,
        branches,
        scale_s,
    };
    let mut tree = maker.scenario(seed);
    super::settle::settle(&mut tree, &mut maker.used);
    Generated {
        tree,
        used: maker.used,
    }
}

impl Maker<'_> {
    /// Draws whether a feature is used; the draw is made whether the language knows it or not.
    pub(super) fn may(&mut self, name: &'static str, chance: f64) -> bool {
        let drawn = self.dice.chance(chance);
        let is_known = self.language.knows(name);
        if drawn && is_known {
            self.used.insert(name);
        }
        drawn && is_known
    }

    /// One of several features, or the given one where the language does not know it.
    pub(super) fn known(
        &mut self,
        names: &[&'static str],
        otherwise: &'static str,
    ) -> &'static str {
        let drawn = names[self.dice.below(names.len())];
        let name = if self.language.knows(drawn) {
            drawn
        } else {
            otherwise
        };
        self.used.insert(name);
        name
    }

    fn scenario(&mut self, seed: u64) -> Table {
        let seconds = |value: f64| text(&format!("{value:.6}s"));
        let horizon_s = self.scale_s * self.dice.between(40.0, 400.0);
        let mut root = table([
            ("schema", Value::Integer(1)),
            ("name", text("swarm")),
            (
                "seed",
                Value::Integer(i64::try_from(seed % 1_000_000).unwrap_or(0)),
            ),
        ]);
        if self.dice.chance(0.5) {
            root.insert("duration".to_owned(), seconds(horizon_s));
            if self.dice.chance(0.2) {
                root.insert("warmup".to_owned(), seconds(horizon_s / 10.0));
            }
        } else {
            root.insert(
                "requests".to_owned(),
                Value::Integer(self.dice.whole(20, 400)),
            );
        }
        if self.may("observe", 0.1) {
            let moments = super::tree::list([horizon_s / 7.0, horizon_s / 2.0]);
            root.insert("observe_at_s".to_owned(), moments);
        }
        self.nodes_and_parks();
        let classes = self.class_tables();
        let source_count = 1 + self.dice.below(3);
        self.has_users = self.dice.chance(0.5);
        let sources: Vec<Value> = (0..source_count)
            .map(|index| self.source(index, source_count))
            .collect();
        let mut stations: Vec<Value> = (0..self.nodes.len())
            .map(|index| self.station(index))
            .collect();
        for park in self.parks.clone() {
            stations.push(inline([
                ("id", text(&park)),
                ("kind", text("delay")),
                ("servers", text("infinite")),
            ]));
        }
        let mut put = |key: &str, list: Vec<Value>| {
            if !list.is_empty() {
                root.insert(key.to_owned(), Value::Array(list));
            }
        };
        put("class", classes);
        put("source", sources);
        put("station", stations);
        put("edge", self.edges());
        put("path", self.paths());
        put("fault", self.faults(horizon_s));
        root
    }

    fn nodes_and_parks(&mut self) {
        let most = 1 + self.dice.below(30);
        let size = 1 + self.dice.below(most);
        while self.nodes.len() < size {
            let number = self.nodes.len() + 1;
            let mut add = |letter: &str, number: usize, part: Part| {
                let id = format!("{letter}{number}");
                self.nodes.push(Node { id, part });
            };
            if self.dice.chance(0.15) {
                let workers = 1 + self.dice.below(2);
                add("queue-", number, Part::Queue(workers));
                for worker in 1..=workers {
                    add("worker-", number + worker, Part::Worker);
                }
            } else {
                add("s", number, Part::Serve);
            }
        }
        if self.dice.chance(0.3) {
            self.nodes.push(Node {
                id: "dlq".to_owned(),
                part: Part::Keep,
            });
        }
        self.parks = (0..self.dice.below(3))
            .map(|index| format!("park-{index}"))
            .collect();
    }

    fn class_tables(&mut self) -> Vec<Value> {
        let count = if self.dice.chance(0.5) {
            0
        } else {
            1 + self.dice.below(4)
        };
        let mut list = Vec::new();
        for index in 0..count {
            let id = format!("c{index}");
            let mut class = table([
                ("id", text(&id)),
                ("priority", Value::Integer(self.dice.whole(-1, 3))),
                (
                    "channel",
                    text(self.dice.one_of(&["email", "in-app", "none"])),
                ),
            ]);
            if self.may("deadline", 0.2) {
                let deadline = self.dice.between(0.5, 10.0) * self.scale_s;
                class.insert("deadline_s".to_owned(), Value::Float(deadline));
            }
            list.push(Value::Table(class));
            self.classes.push(id);
        }
        list
    }

    fn source(&mut self, index: usize, count: usize) -> Value {
        let rate_per_s = self.dice.between(0.1, 2.0) / self.scale_s / count as f64;
        let arrivals = self.arrivals(rate_per_s);
        let is_closed = arrivals.get("process").and_then(Value::as_str) == Some("closed");
        let mut source = table([
            ("id", text(&format!("clients-{index}"))),
            ("to", self.rule(None, false)),
        ]);
        if !is_closed {
            if self.has_users {
                source.insert("users".to_owned(), Value::Integer(self.dice.whole(1, 40)));
            }
            if self.dice.chance(0.15) {
                source.insert("batch".to_owned(), Value::Integer(self.dice.whole(1, 6)));
            } else if self.dice.chance(0.1) {
                let mean = Value::Float(self.dice.between(1.0, 5.0));
                let batch = inline([("dist", text("geometric")), ("mean", mean)]);
                source.insert("batch".to_owned(), batch);
            }
        }
        if !self.classes.is_empty() && self.dice.chance(0.5) {
            let classes = self.classes.clone();
            let weights = classes
                .iter()
                .map(|class| (class.as_str(), Value::Float(self.dice.between(0.1, 3.0))));
            let mix: Vec<_> = weights.collect();
            source.insert("mix".to_owned(), inline(mix));
        }
        source.insert("arrivals".to_owned(), arrivals);
        Value::Table(source)
    }

    fn edges(&mut self) -> Vec<Value> {
        let count = self.dice.below(4);
        let mut list = Vec::new();
        for _ in 0..count {
            let (from, to) = (
                self.dice.below(self.nodes.len()),
                self.dice.below(self.nodes.len()),
            );
            let transit = self.law(self.scale_s / 5.0);
            let edge = inline([
                ("from", text(&self.nodes[from].id)),
                ("to", text(&self.nodes[to].id)),
                ("transit", transit),
            ]);
            if from != to {
                list.push(edge);
            }
        }
        list
    }

    fn paths(&mut self) -> Vec<Value> {
        if !self.dice.chance(0.3) {
            return Vec::new();
        }
        let via = self.nodes[self.dice.below(self.nodes.len())].id.clone();
        let channel = text(self.dice.one_of(&["email", "in-app", "none"]));
        vec![inline([
            ("id", text("way")),
            ("channel", channel),
            ("via", text(&via)),
        ])]
    }

    fn faults(&mut self, horizon_s: f64) -> Vec<Value> {
        let count = if self.dice.chance(0.6) {
            0
        } else {
            1 + self.dice.below(4)
        };
        let mut list = Vec::new();
        for _ in 0..count {
            let target = self.nodes[self.dice.below(self.nodes.len())].clone();
            let name = self.known(
                &["down", "pause", "slow", "error-rate", "delay", "disconnect"],
                "down",
            );
            let mut fault = table([
                ("target", text(&target.id)),
                ("kind", text(name)),
                ("at", text(&format!("{:.6}s", horizon_s * self.dice.unit()))),
            ]);
            if self.dice.chance(0.8) {
                let length = horizon_s * (0.02 + self.dice.unit() / 4.0);
                fault.insert("for".to_owned(), text(&format!("{length:.6}s")));
            }
            match name {
                "slow" => {
                    fault.insert(
                        "factor".to_owned(),
                        Value::Float(self.dice.between(0.3, 10.0)),
                    );
                }
                "error-rate" => {
                    fault.insert(
                        "probability".to_owned(),
                        Value::Float(self.dice.between(0.1, 1.0)),
                    );
                }
                "delay" => {
                    let law = self.law(self.scale_s);
                    fault.extend(law.as_table().cloned().unwrap_or_default());
                }
                _ => {}
            }
            if target.part != Part::Keep {
                list.push(Value::Table(fault));
            }
        }
        list
    }
}
