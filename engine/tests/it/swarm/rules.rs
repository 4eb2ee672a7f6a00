//! Random `next` rules.
//!
//! Belongs here: every shape of a rule, and where it may lead so that a scenario stays valid and its
//! requests end. Does not belong here: stations (generate).

use super::generate::{Maker, Node, Part};
use super::tree::{inline, list, table, text};
use toml::Value;

const CHOICES: &[&str] = &[
    "round-robin",
    "random",
    "weighted",
    "least-connections",
    "least-work-left",
    "power-of-two",
    "power-of-two with replacement",
    "sticky",
    "hash",
];

impl Maker<'_> {
    /// A rule of the station at that position (`None`: of a source); after trouble it may climb a ladder.
    pub(super) fn rule(&mut self, at: Option<usize>, after_trouble: bool) -> Value {
        self.rule_within(at, after_trouble, 0)
    }

    fn rule_within(&mut self, at: Option<usize>, after_trouble: bool, depth: u32) -> Value {
        if after_trouble && depth == 0 && !self.parks.is_empty() && self.dice.chance(0.6) {
            return self.ladder(at);
        }
        let targets = self.targets(at);
        if targets.is_empty() {
            return self.end(at, after_trouble, depth);
        }
        match self.dice.below(12) {
            0..=3 => text(&targets[self.dice.below(targets.len())]),
            4 | 5 => self.choose(&targets),
            6 if depth < 2 => self.probability(at, after_trouble, depth),
            7 if depth < 2 && !self.classes.is_empty() => self.by_class(at, after_trouble, depth),
            8 | 9 if self.branches > 0 => self.branch(&targets),
            10 => self.end(at, after_trouble, depth),
            _ => text(&targets[0]),
        }
    }

    /// Stations further on; a worker is fed by its queue only.
    fn targets(&self, at: Option<usize>) -> Vec<String> {
        let from = at.map_or(0, |index| index + 1);
        let further = self.nodes[from..].iter();
        further
            .filter(|node| matches!(node.part, Part::Serve | Part::Queue(_)))
            .map(|node| node.id.clone())
            .collect()
    }

    fn end(&mut self, at: Option<usize>, after_trouble: bool, depth: u32) -> Value {
        let last = self.nodes.last().filter(|node| node.part == Part::Keep);
        let keep = last.map(|node| node.id.clone());
        if let Some(id) = keep.filter(|_| self.dice.chance(if after_trouble { 0.5 } else { 0.1 })) {
            return text(&id);
        }
        // Sources must lead somewhere, and after trouble a way back could circle at one instant.
        if at.is_none() {
            return text(&self.nodes[0].id);
        }
        if self.loops && !after_trouble && depth == 0 && self.dice.chance(0.6) {
            return self.probability(at, after_trouble, depth);
        }
        text(if after_trouble && self.dice.chance(0.5) {
            "failed"
        } else {
            "done"
        })
    }

    fn choose(&mut self, targets: &[String]) -> Value {
        let count = 1 + self.dice.below(targets.len().min(4));
        let first = self.dice.below(targets.len() + 1 - count);
        let among = list(targets[first..first + count].iter().map(|id| text(id)));
        let otherwise = "random";
        let name = self.known(CHOICES, otherwise);
        let name = if name == "sticky" && !self.has_users {
            otherwise
        } else {
            name
        };
        let mut rule = table([("choose", text(name)), ("among", among)]);
        match name {
            "weighted" => {
                let weights: Vec<f64> = (0..count).map(|_| self.dice.between(0.1, 5.0)).collect();
                rule.insert("weights".to_owned(), list(weights));
            }
            "power-of-two" => {
                let d = self.dice.whole(1, count as i64);
                rule.insert("d".to_owned(), Value::Integer(d));
            }
            "power-of-two with replacement" => {
                rule.insert("choose".to_owned(), text("power-of-two"));
                rule.insert("replace".to_owned(), Value::Boolean(true));
                rule.insert("d".to_owned(), Value::Integer(self.dice.whole(1, 4)));
            }
            "sticky" => {
                rule.insert("by".to_owned(), text("user"));
            }
            _ => {}
        }
        Value::Table(rule)
    }

    /// Chances; the first may lead back where requests may circle.
    fn probability(&mut self, at: Option<usize>, after_trouble: bool, depth: u32) -> Value {
        self.used.insert("probability");
        let p = super::dice::round(0.05 + 0.4 * self.dice.unit());
        let back = at.filter(|_| self.loops && !after_trouble && depth == 0);
        let back = back.and_then(|index| {
            let earlier: Vec<Node> = self.nodes[..=index].to_vec();
            let node = &earlier[self.dice.below(earlier.len())];
            matches!(node.part, Part::Serve | Part::Queue(_)).then(|| text(&node.id))
        });
        let first = match back {
            Some(back) => back,
            None => self.rule_within(at, after_trouble, depth + 1),
        };
        let second = self.rule_within(at, after_trouble, depth + 1);
        let share = |to: Value, p: f64| inline([("to", to), ("p", Value::Float(p))]);
        inline([(
            "probability",
            list([share(first, p), share(second, 1.0 - p)]),
        )])
    }

    fn by_class(&mut self, at: Option<usize>, after_trouble: bool, depth: u32) -> Value {
        self.used.insert("by_class");
        let class = self.classes[self.dice.below(self.classes.len())].clone();
        let one = self.rule_within(at, after_trouble, depth + 1);
        let other = self.rule_within(at, after_trouble, depth + 1);
        inline([(
            "by_class",
            inline([(class.as_str(), one), ("default", other)]),
        )])
    }

    /// A rule that makes several parts of one.
    fn branch(&mut self, targets: &[String]) -> Value {
        self.branches -= 1;
        let count = 1 + self.dice.below(targets.len().min(3));
        let first = self.dice.below(targets.len() + 1 - count);
        let ids: Vec<Value> = targets[first..first + count]
            .iter()
            .map(|id| text(id))
            .collect();
        match self.known(&["copy", "copy", "fork", "fork", "hedge"], "copy") {
            "fork" => {
                let last = text(&targets[targets.len() - 1]);
                let join = if self.may("fork at a station", 0.3) && !ids.contains(&last) {
                    last
                } else {
                    text("done")
                };
                let mut rule = table([("fork", list(ids)), ("join", join)]);
                if count == 1 && self.may("fork in copies", 0.5) {
                    rule.insert("copies".to_owned(), Value::Integer(self.dice.whole(2, 4)));
                } else if self.may("fork for a quorum", 0.3) {
                    let quorum = self.dice.whole(1, count as i64);
                    rule.insert("wait_for".to_owned(), Value::Integer(quorum));
                }
                Value::Table(rule)
            }
            "hedge" => {
                let after = if self.dice.chance(0.3) {
                    0.0
                } else {
                    self.dice.between(0.1, 3.0) * self.scale_s
                };
                let mut rule = table([
                    ("hedge", list(ids)),
                    ("after_s", Value::Float(super::dice::round(after))),
                ]);
                if self.may("hedge of d", 0.3) {
                    rule.insert(
                        "d".to_owned(),
                        Value::Integer(self.dice.whole(1, count as i64)),
                    );
                }
                Value::Table(rule)
            }
            _ => inline([("copy", list(ids))]),
        }
    }

    /// Steps of positive length: a ladder without delay could circle at one instant.
    fn ladder(&mut self, at: Option<usize>) -> Value {
        let count = 1 + self.dice.below(3);
        let mut steps = Vec::new();
        for _ in 0..count {
            let via = text(&self.parks[self.dice.below(self.parks.len())]);
            let about_s = self.scale_s * self.dice.between(0.3, 10.0);
            let delay = if self.dice.chance(0.5) {
                ("delay_s", Value::Float(super::dice::round(about_s)))
            } else {
                ("delay", self.law(about_s))
            };
            steps.push(inline([("via", via), delay]));
        }
        let mut rule = table([("retry", Value::Array(steps))]);
        if self.may("ladder for ever", 0.2) {
            rule.insert("last".to_owned(), text("repeat"));
        } else {
            self.used.insert("ladder");
            let then = self.rule_within(at, true, 1);
            rule.insert("then".to_owned(), then);
        }
        if self.may("budget", 0.2) {
            let per_s = Value::Float(self.dice.between(0.05, 2.0) / self.scale_s);
            rule.insert("budget_per_s".to_owned(), per_s);
        }
        if self.may("attempts", 0.2) {
            rule.insert("attempts".to_owned(), Value::Integer(self.dice.whole(1, 5)));
        }
        if self.may("backoff", 0.2) {
            let float = Value::Float;
            let backoff = inline([
                ("first_s", float(super::dice::round(self.scale_s / 2.0))),
                ("factor", float(self.dice.between(1.0, 3.0))),
                ("max_s", float(super::dice::round(self.scale_s * 20.0))),
                ("jitter", float(super::dice::round(self.dice.unit()))),
            ]);
            rule.insert("backoff".to_owned(), backoff);
        }
        Value::Table(rule)
    }
}
