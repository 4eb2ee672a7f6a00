//! One line per request: what the filter asks for, and where its events lie.
//!
//! Belongs here: the index and what a filter keeps. Does not belong here: whole journeys.

use crate::view::{Filter, FilterCounts, RequestResult};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ClassId, ComponentId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::{Channel, Topology};
use std::collections::HashMap;

/// What is known of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which.
    pub request: RequestId,
    /// Its class.
    pub class: ClassId,
    /// Begun.
    pub begun: TimeNs,
    /// Finished, where it has.
    pub finished: Option<TimeNs>,
    /// How it ended.
    pub outcome: Outcome,
    /// Highest run number.
    pub attempts: u16,
    /// Has an e-mail part.
    pub is_email: bool,
    /// Has an in-app part.
    pub is_in_app: bool,
    /// Positions of its first and last event.
    pub events: (usize, usize),
    /// Components 0 to 127 it visited.
    visited: u128,
}

impl Summary {
    /// How it fared.
    #[must_use]
    pub fn result(&self) -> RequestResult {
        if self.finished.is_none() {
            RequestResult::InFlight
        } else if self.outcome != Outcome::Ok {
            RequestResult::Failed
        } else if self.attempts > 1 {
            RequestResult::Retried
        } else {
            RequestResult::Delivered
        }
    }
}

/// All requests, by the time they were first seen.
#[derive(Clone, Debug)]
pub struct Requests {
    list: Vec<Summary>,
    positions: HashMap<RequestId, usize>,
    class_channels: Vec<Channel>,
    class_names: Vec<String>,
    channel_via: HashMap<ComponentId, Channel>,
}

impl Requests {
    pub(super) fn new(topology: &Topology) -> Self {
        Self {
            list: Vec::new(),
            positions: HashMap::new(),
            class_channels: topology.classes.iter().map(|class| class.channel).collect(),
            class_names: topology
                .classes
                .iter()
                .map(|class| class.id.clone())
                .collect(),
            channel_via: topology
                .paths
                .iter()
                .map(|path| (path.via, path.channel))
                .collect(),
        }
    }

    pub(super) fn push(&mut self, index: usize, event: &StageEvent) {
        if event.request == RequestId::NONE {
            return;
        }
        let position = *self.positions.entry(event.request).or_insert_with(|| {
            let channel = self.class_channels.get(event.class.index());
            self.list.push(Summary {
                request: event.request,
                class: event.class,
                begun: event.t_ns,
                finished: None,
                outcome: Outcome::None,
                attempts: 0,
                is_email: channel == Some(&Channel::Email),
                is_in_app: channel == Some(&Channel::InApp),
                events: (index, index),
                visited: 0,
            });
            self.list.len() - 1
        });
        let summary = &mut self.list[position];
        summary.events.1 = index;
        summary.attempts = summary.attempts.max(event.attempt);
        if event.component.index() < 128 {
            summary.visited |= 1 << event.component.index();
        }
        match self.channel_via.get(&event.component) {
            Some(Channel::Email) => summary.is_email = true,
            Some(Channel::InApp) => summary.is_in_app = true,
            Some(Channel::None) | None => {}
        }
        if event.kind == EventKind::RequestFinished {
            summary.finished = Some(event.t_ns);
            summary.outcome = event.outcome;
        }
    }

    /// All, by the time they were first seen.
    #[must_use]
    pub fn all(&self) -> &[Summary] {
        &self.list
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, request: RequestId) -> Option<&Summary> {
        self.positions
            .get(&request)
            .map(|&position| &self.list[position])
    }

    /// True where the filter leaves the request on screen.
    #[must_use]
    pub fn passes(&self, summary: &Summary, filter: &Filter) -> bool {
        if filter.is_empty() {
            return true;
        }
        let has_shown_channel = {
            let hidden = |channel| filter.hidden_channels.contains(&channel);
            match (summary.is_email, summary.is_in_app) {
                (false, false) => !hidden(Channel::None),
                (email, in_app) => {
                    (email && !hidden(Channel::Email)) || (in_app && !hidden(Channel::InApp))
                }
            }
        };
        has_shown_channel
            && !filter.hidden_classes.contains(&summary.class)
            && !filter.hidden_results.contains(&summary.result())
            && filter.component.is_none_or(|component| {
                component.index() < 128 && summary.visited & (1 << component.index()) != 0
            })
            && self.has_text(summary, &filter.text)
    }

    fn has_text(&self, summary: &Summary, text: &str) -> bool {
        let wanted = text.trim().to_lowercase();
        let class = self.class_names.get(summary.class.index());
        wanted.is_empty()
            || format!("r-{}", summary.request.0).contains(&wanted)
            || class.is_some_and(|class| class.to_lowercase().contains(&wanted))
    }

    /// How many requests each choice of the filter holds.
    #[must_use]
    pub fn counts(&self, filter: &Filter) -> FilterCounts {
        let mut counts = FilterCounts {
            classes: vec![0; self.class_channels.len()],
            ..FilterCounts::default()
        };
        for summary in &self.list {
            counts.total += 1;
            counts.email += u64::from(summary.is_email);
            counts.in_app += u64::from(summary.is_in_app);
            if let Some(class) = counts.classes.get_mut(summary.class.index()) {
                *class += 1;
            }
            match summary.result() {
                RequestResult::Delivered => counts.delivered += 1,
                RequestResult::Retried => counts.retried += 1,
                RequestResult::Failed => counts.failed += 1,
                RequestResult::InFlight => counts.in_flight += 1,
            }
            counts.shown += u64::from(self.passes(summary, filter));
        }
        counts
    }
}
