//! A small run in the middle of its playing, as the panels see it.
//!
//! Belongs here: plain values for tests. Does not belong here: anything a user sees.

use crate::view::{
    ComponentNumbers, Filter, FilterCounts, Health, Journey, Lanes, Metrics, Mode, Motion,
    Playback, Progress, Screen, Selection, SelectionView, Settings, Slice, SourceInfo, Stage, View,
};
use flowreel_engine::model::event::Outcome;
use flowreel_engine::model::id::{ClassId, ComponentId, PartId, RequestId};
use flowreel_engine::model::time::{NS_PER_S, TimeNs};
use flowreel_engine::model::topology::{Channel, Class, Component, ComponentKind, Topology};
use std::path::PathBuf;

pub(super) struct Sample {
    pub(super) screen: Screen,
    pub(super) playback: Playback,
    pub(super) metrics: Metrics,
    pub(super) filter: Filter,
    pub(super) selected: Selection,
    source: SourceInfo,
    topology: Topology,
    components: Vec<ComponentNumbers>,
    journey: Journey,
    lanes: Lanes,
    counts: FilterCounts,
    scenarios: Vec<PathBuf>,
}

fn component(id: &str, label: &str, kind: ComponentKind) -> Component {
    Component {
        id: id.to_owned(),
        kind,
        label: label.to_owned(),
        servers: Some(1),
        rate_limit_per_s: None,
        capacity: None,
        port: None,
    }
}

fn stage(number: u16, component: u16, from_s: u64, to_s: u64) -> Stage {
    Stage {
        number,
        component: ComponentId(component),
        from: ComponentId::NONE,
        part: PartId(0),
        channel: Channel::Email,
        attempt: 1,
        arrived: TimeNs(from_s * NS_PER_S),
        started: Some(TimeNs(from_s * NS_PER_S)),
        ended: Some(TimeNs(to_s * NS_PER_S)),
        outcome: Outcome::Ok,
        is_scheduled_delay: false,
        code: 0,
    }
}

impl Sample {
    /// A hundred seconds, the playhead at forty, nothing selected.
    pub(super) fn new() -> Self {
        let class = |id: &str, channel| Class {
            id: id.to_owned(),
            channel,
            priority: 0,
        };
        Self {
            screen: Screen::Main,
            playback: Playback {
                now: TimeNs(40 * NS_PER_S),
                end: TimeNs(100 * NS_PER_S),
                planned_end: TimeNs(100 * NS_PER_S),
                motion: Motion::Stopped,
                speed: 1.0,
                is_step_mode: false,
                is_following_live: false,
                loop_in: None,
                loop_out: None,
            },
            metrics: Metrics {
                health: Health::Healthy,
                active: 3,
                requests_per_s: Some(4.0),
                latency_mean_s: Some(0.2),
                latency_p95_s: Some(0.4),
                error_ratio: Some(0.01),
                queued: 2,
                delayed: 0,
                dead_letters: 0,
                uptime_s: Some(40.0),
                anomalies: 0,
            },
            filter: Filter::default(),
            selected: Selection::Nothing,
            source: SourceInfo {
                mode: Mode::Replay,
                name: "evening".to_owned(),
                input: "evening.reel".to_owned(),
                event_count: 1234,
                request_count: 56,
                gap_count: 0,
                lost_event_count: 0,
                progress: Progress::Complete,
                seed: None,
                behind_s: None,
            },
            topology: Topology {
                components: vec![
                    component("balancer", "Balancer", ComponentKind::Balancer),
                    component("mail", "Mail queue", ComponentKind::Queue),
                ],
                classes: vec![
                    class("signup", Channel::Email),
                    class("login", Channel::InApp),
                ],
                ..Topology::default()
            },
            components: vec![ComponentNumbers::default(); 2],
            journey: Journey {
                request: RequestId(7),
                class: ClassId(0),
                begun: TimeNs(10 * NS_PER_S),
                finished: Some(TimeNs(60 * NS_PER_S)),
                outcome: Outcome::Ok,
                stages: vec![stage(1, 0, 10, 12), stage(2, 1, 12, 60)],
                retries: Vec::new(),
                payload: Vec::new(),
            },
            lanes: Lanes {
                slice_ns: NS_PER_S,
                slices: (0..100)
                    .map(|index| Slice {
                        email: index % 7,
                        in_app: index % 5,
                        errors: u32::from(index % 30 == 0),
                        depths: vec![0, index % 9],
                        ..Slice::default()
                    })
                    .collect(),
                depth_of: Some(ComponentId(1)),
                keyframes: vec![TimeNs(50 * NS_PER_S)],
                gaps: vec![(TimeNs(80 * NS_PER_S), TimeNs(82 * NS_PER_S))],
            },
            counts: FilterCounts {
                email: 30,
                in_app: 26,
                classes: vec![20, 36],
                delivered: 50,
                retried: 4,
                failed: 1,
                in_flight: 1,
                shown: 56,
                total: 56,
            },
            scenarios: vec![PathBuf::from("scenarios/notification.toml")],
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            screen: self.screen,
            source: (self.screen == Screen::Main).then_some(&self.source),
            topology: &self.topology,
            playback: self.playback,
            metrics: &self.metrics,
            components: &self.components,
            selection: match self.selected {
                Selection::Nothing => SelectionView::Nothing,
                Selection::Request(_) => SelectionView::Request {
                    journey: &self.journey,
                    reached: 2,
                    is_followed: false,
                },
                Selection::Component(id) => SelectionView::Component {
                    id,
                    requests: &[RequestId(7)],
                },
            },
            lanes: &self.lanes,
            marks: &[],
            filter: &self.filter,
            counts: &self.counts,
            settings: Settings::default(),
            notice: None,
            recent: &[],
            scenarios: &self.scenarios,
            is_not_to_scale: true,
            sampled_one_in: 1,
        }
    }
}
