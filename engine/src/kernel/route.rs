//! Choosing where a part goes: the state behind each rule.
//!
//! Belongs here: turning a rule into a destination. Does not belong here: going there (kernel::flow).

use super::rng::Stream;
use super::sampler::{Sampler, pick};
use super::station::{Bucket, StationState};
use crate::model::id::ComponentId;
use crate::scenario::valid::{Choice, Fork, Hedge, Rule, RuleId, Scenario};

/// Where a rule leads, with every chance already drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Done,
    Failed,
    Station(u16),
    /// Chosen among several; `is_new` where a session was bound just now.
    Chosen {
        station: u16,
        is_new: bool,
    },
    /// To all stations of this rule.
    Copy(RuleId),
    /// To all stations of this rule, whose parts wait for each other.
    Fork(RuleId),
    /// To stations of this rule, one after the other, until one answers.
    Hedge(RuleId),
    /// Up this ladder.
    Ladder(RuleId),
}

/// A rule and what it remembers.
#[derive(Clone, Debug)]
struct RuleState {
    rule: Rule,
    stream: Stream,
    turn: usize,
    /// By user: 1 + position in `among`, 0 for a user not seen yet.
    sessions: Vec<u16>,
    delays: Vec<Sampler>,
    /// Retries that are left now.
    budget: Option<Bucket>,
}

/// All rules of a run.
#[derive(Clone, Debug)]
pub(super) struct Router {
    rules: Vec<RuleState>,
    drawn: Vec<u16>,
}

/// What a choice may depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) class: u16,
    pub(super) user: u32,
    pub(super) request: u64,
    pub(super) now_ns: u64,
}

impl Router {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let owners = owners(scenario);
        let users = scenario
            .sources
            .iter()
            .map(|source| source.users)
            .max()
            .unwrap_or(0);
        let rules = scenario
            .rules
            .iter()
            .zip(owners)
            .map(|(rule, (owner, purpose))| RuleState {
                stream: Stream::new(seed, owner, &purpose),
                turn: 0,
                sessions: match rule {
                    Rule::Choose {
                        choice: Choice::Sticky,
                        ..
                    } => vec![0; users as usize + 1],
                    _ => Vec::new(),
                },
                delays: match rule {
                    Rule::Retry { steps, .. } => {
                        steps.iter().map(|step| Sampler::new(&step.delay)).collect()
                    }
                    _ => Vec::new(),
                },
                budget: match rule {
                    Rule::Retry { limits, .. } => limits.budget_per_s.map(super::retry::budget),
                    _ => None,
                },
                rule: rule.clone(),
            })
            .collect();
        Self {
            rules,
            drawn: Vec::with_capacity(64),
        }
    }

    /// Follows a rule to its destination.
    #[inline]
    pub(super) fn resolve(
        &mut self,
        rule: RuleId,
        asker: Asker,
        stations: &[StationState],
    ) -> Destination {
        // Most rules are one of these two.
        match &self.rules[rule.index()].rule {
            Rule::Done => Destination::Done,
            Rule::Station(station) => Destination::Station(station.0),
            _ => self.resolve_other(rule, asker, stations),
        }
    }

    #[inline(never)]
    fn resolve_other(
        &mut self,
        rule: RuleId,
        asker: Asker,
        stations: &[StationState],
    ) -> Destination {
        let mut id = rule;
        loop {
            let state = &mut self.rules[id.index()];
            match &state.rule {
                Rule::Done => return Destination::Done,
                Rule::Failed => return Destination::Failed,
                Rule::Station(station) => return Destination::Station(station.0),
                Rule::Copy(_) => return Destination::Copy(id),
                Rule::Fork(_) => return Destination::Fork(id),
                Rule::Hedge(_) => return Destination::Hedge(id),
                Rule::Retry { .. } => return Destination::Ladder(id),
                Rule::ByClass(rules) => id = rules[usize::from(asker.class)],
                Rule::Probability(shares) => {
                    let u = state.stream.uniform();
                    let hit = shares
                        .iter()
                        .find(|(share, _)| u < *share)
                        .or(shares.last());
                    match hit {
                        Some((_, rule)) => id = *rule,
                        None => return Destination::Failed,
                    }
                }
                Rule::Choose { .. } => return self.choose(id, asker, stations),
            }
        }
    }

    fn choose(&mut self, id: RuleId, asker: Asker, stations: &[StationState]) -> Destination {
        let RuleState {
            rule,
            stream,
            turn,
            sessions,
            ..
        } = &mut self.rules[id.index()];
        let Rule::Choose { choice, among } = rule else {
            return Destination::Failed;
        };
        let count = u32::try_from(among.len()).unwrap_or(u32::MAX);
        let present = |index: usize| u64::from(stations[among[index].index()].present);
        let work = |index: usize| {
            let done_ns = stations[among[index].index()].work_until_ns;
            done_ns.saturating_sub(asker.now_ns)
        };
        let is_up = |index: usize| !stations[among[index].index()].is_down;
        let mut is_new = false;
        let index = match choice {
            Choice::RoundRobin => take_turn_of_up(turn, among.len(), is_up),
            Choice::Random => stream.below(count) as usize,
            Choice::Weighted(shares) => pick(shares, stream),
            Choice::LeastConnections => fewest(0..among.len(), present, stream),
            Choice::LeastWorkLeft => fewest(0..among.len(), work, stream),
            Choice::PowerOfTwo { d, replace } => {
                self.drawn.clear();
                while self.drawn.len() < *d as usize {
                    let index = u16::try_from(stream.below(count)).unwrap_or(0);
                    if *replace || !self.drawn.contains(&index) {
                        self.drawn.push(index);
                    }
                }
                fewest(
                    self.drawn.iter().map(|index| usize::from(*index)),
                    present,
                    stream,
                )
            }
            Choice::Sticky => {
                let session = sessions
                    .get_mut(asker.user as usize)
                    .filter(|_| asker.user > 0);
                match session {
                    Some(bound) if *bound > 0 && is_up(usize::from(*bound) - 1) => {
                        usize::from(*bound) - 1
                    }
                    Some(bound) => {
                        let index = take_turn_of_up(turn, among.len(), is_up);
                        *bound = u16::try_from(index + 1).unwrap_or(0);
                        is_new = true;
                        index
                    }
                    None => take_turn_of_up(turn, among.len(), is_up),
                }
            }
            Choice::Hash => {
                let key = if asker.user > 0 {
                    u64::from(asker.user)
                } else {
                    asker.request
                };
                Stream::new(key, "hash", "").below(count) as usize
            }
        };
        Destination::Chosen {
            station: among[index].0,
            is_new,
        }
    }

    /// Stations of a copy rule.
    pub(super) fn copies(&self, id: RuleId) -> &[ComponentId] {
        match &self.rules[id.index()].rule {
            Rule::Copy(stations) => stations,
            _ => &[],
        }
    }

    /// The fork rule at that place.
    pub(super) fn fork(&self, id: RuleId) -> Option<&Fork> {
        match &self.rules[id.index()].rule {
            Rule::Fork(fork) => Some(fork),
            _ => None,
        }
    }

    /// The hedge rule at that place.
    pub(super) fn hedge(&self, id: RuleId) -> Option<&Hedge> {
        match &self.rules[id.index()].rule {
            Rule::Hedge(hedge) => Some(hedge),
            _ => None,
        }
    }

    /// Stations of one hedge: all in their order, or some at random, none twice.
    pub(super) fn draw_hedge(&mut self, id: RuleId, picks: &mut [u16]) {
        let RuleState { rule, stream, .. } = &mut self.rules[id.index()];
        let Rule::Hedge(hedge) = rule else {
            return;
        };
        let count = hedge.among.len();
        self.drawn.clear();
        while self.drawn.len() < hedge.d as usize {
            let index = if hedge.d as usize == count {
                self.drawn.len()
            } else {
                stream.below(u32::try_from(count).unwrap_or(u32::MAX)) as usize
            };
            let drawn = u16::try_from(index).unwrap_or(0);
            if !self.drawn.contains(&drawn) {
                picks[self.drawn.len()] = hedge.among[index].0;
                self.drawn.push(drawn);
            }
        }
    }

    /// Delay and place of a ladder's step, or the rule at its end. `before_ns` is the delay before it.
    pub(super) fn climb(
        &mut self,
        id: RuleId,
        step: u16,
        before_ns: u64,
        now_ns: u64,
    ) -> Result<(u64, u16), RuleId> {
        let RuleState {
            rule,
            stream,
            delays,
            budget,
            ..
        } = &mut self.rules[id.index()];
        let Rule::Retry {
            steps,
            then,
            limits,
        } = rule
        else {
            return Err(id);
        };
        let last = steps.len() - 1;
        let retries = limits
            .attempts
            .map_or(steps.len(), |attempts| attempts as usize - 1);
        if let Some(then) = then.filter(|_| usize::from(step) >= retries) {
            return Err(then);
        }
        if let (Some(budget), Some(then)) = (budget, then) {
            if budget.ready_at_ns(now_ns) > now_ns {
                return Err(*then);
            }
            budget.take(now_ns);
        }
        let index = usize::from(step).min(last);
        let delay_ns = match limits.backoff {
            Some(backoff) => super::retry::backoff_ns(backoff, step, before_ns, stream),
            None => delays[index].draw_ns(stream),
        };
        Ok((delay_ns, steps[index].via.0))
    }
}

fn take_turn(turn: &mut usize, count: usize) -> usize {
    let index = *turn;
    *turn = if index + 1 == count { 0 } else { index + 1 };
    index
}

/// Takes turns until one is up; where all are down, the one whose turn it was.
fn take_turn_of_up(turn: &mut usize, count: usize, is_up: impl Fn(usize) -> bool) -> usize {
    let first = take_turn(turn, count);
    if is_up(first) {
        return first;
    }
    (1..count)
        .map(|_| take_turn(turn, count))
        .find(|index| is_up(*index))
        .unwrap_or(first)
}

/// The candidate with the fewest present; each of several equal ones as likely. A candidate that was
/// drawn twice counts twice.
fn fewest(
    candidates: impl Iterator<Item = usize>,
    present: impl Fn(usize) -> u64,
    stream: &mut Stream,
) -> usize {
    let (mut best, mut least, mut ties) = (0, u64::MAX, 0);
    for candidate in candidates {
        let count = present(candidate);
        if count < least {
            (best, least, ties) = (candidate, count, 1);
        } else if count == least {
            ties += 1;
            if stream.below(ties) == 0 {
                best = candidate;
            }
        }
    }
    best
}

/// Name of the component that starts each rule, and which of its rules it is.
fn owners(scenario: &Scenario) -> Vec<(&str, String)> {
    let mut owners: Vec<(&str, String)> = vec![("", String::new()); scenario.rules.len()];
    let mut claim = |component: ComponentId, key: &str, root: RuleId| {
        let name = scenario.component(component).id.as_str();
        let mut open = vec![root];
        let mut ordinal = 0;
        while let Some(id) = open.pop() {
            owners[id.index()] = (name, format!("{key} {ordinal}"));
            ordinal += 1;
            match scenario.rule(id) {
                Rule::Probability(shares) => {
                    open.extend(shares.iter().rev().map(|(_, rule)| *rule));
                }
                Rule::ByClass(rules) => open.extend(rules.iter().rev()),
                Rule::Retry { then, .. } => open.extend(then),
                Rule::Done
                | Rule::Failed
                | Rule::Station(_)
                | Rule::Choose { .. }
                | Rule::Copy(_)
                | Rule::Fork(_)
                | Rule::Hedge(_) => {}
            }
        }
    };
    for source in &scenario.sources {
        claim(source.component, "to", source.to);
    }
    for station in &scenario.stations {
        claim(station.component, "next", station.next);
        claim(station.component, "on_failure", station.on_failure);
        for (key, rule) in [
            ("on_full", station.on_full),
            ("on_abandon", station.on_abandon),
            ("calls", station.calls),
        ] {
            if let Some(rule) = rule {
                claim(station.component, key, rule);
            }
        }
    }
    owners
}
