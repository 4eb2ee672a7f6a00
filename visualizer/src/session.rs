//! What is open: one source, its reel, the playhead, the selection, the settings.
//!
//! Belongs here: taking in messages, carrying out actions, the view of a frame.
//! Does not belong here: drawing, windows, keys, clocks.

mod act;

use crate::numbers;
use crate::playback::Player;
use crate::reel::Reel;
use crate::reel::journey::journey;
use crate::scene::camera::Camera;
use crate::scene::layout::{Layout, layout};
use crate::scene::picture::{Input as PictureInput, Picture, picture};
use crate::source::{Input, Message, Source, SourceError};
use crate::view::{
    ComponentNumbers, Filter, FilterCounts, Journey, Mark, Metrics, Mode, Notice, Progress, Recent,
    Screen, Selection, SelectionView, Settings, SourceInfo, View,
};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use std::path::PathBuf;

/// Events taken in per frame, so that a long reel does not stop the picture.
const EVENTS_PER_FRAME: usize = 60_000;
/// Requests listed at a selected component.
const REQUESTS_LISTED: usize = 50;
/// Recently opened inputs kept.
const RECENT_MAX: usize = 8;

/// Everything the app knows.
#[derive(Debug)]
pub struct Session {
    source: Option<Source>,
    info: Option<SourceInfo>,
    planned_end: Option<TimeNs>,
    reel: Reel,
    layout: Layout,
    player: Player,
    selection: Selection,
    journey: Option<Journey>,
    at_component: Vec<RequestId>,
    is_following: bool,
    filter: Filter,
    counts: FilterCounts,
    counts_of: (usize, Filter),
    settings: Settings,
    notice: Option<Notice>,
    recent: Vec<Recent>,
    scenarios: Vec<PathBuf>,
    bookmarks: Vec<Mark>,
    marks: Vec<Mark>,
    metrics: Metrics,
    components: Vec<ComponentNumbers>,
    picture: Picture,
    /// Which part of the graph is shown.
    pub camera: Camera,
    wants_quit: bool,
}

impl Session {
    /// Nothing is open. `scenarios` are offered on the welcome screen.
    #[must_use]
    pub fn new(scenarios: Vec<PathBuf>, settings: Settings) -> Self {
        let reel = Reel::new(Topology::default());
        Self {
            source: None,
            info: None,
            planned_end: None,
            layout: Layout::default(),
            player: Player::new(&reel),
            reel,
            selection: Selection::Nothing,
            journey: None,
            at_component: Vec::new(),
            is_following: false,
            filter: Filter::default(),
            counts: FilterCounts::default(),
            counts_of: (0, Filter::default()),
            settings,
            notice: None,
            recent: Vec::new(),
            scenarios,
            bookmarks: Vec::new(),
            marks: Vec::new(),
            metrics: Metrics::default(),
            components: Vec::new(),
            picture: Picture::default(),
            camera: Camera::default(),
            wants_quit: false,
        }
    }

    /// Starts reading an input and plays it from the start; what was open is closed.
    pub fn open(&mut self, input: &Input) {
        self.open_source(input, Source::open(input));
    }

    /// The same with a source that already runs.
    pub fn open_source(&mut self, input: &Input, source: Source) {
        self.close();
        self.source = Some(source);
        let text = input.text();
        self.recent.retain(|recent| recent.input != text);
        self.recent.insert(
            0,
            Recent {
                input: text.clone(),
                text: match input {
                    Input::File(_) => "recording",
                    Input::Scenario(_) => "scenario",
                    Input::Live(_) => "live",
                }
                .to_owned(),
            },
        );
        self.recent.truncate(RECENT_MAX);
        self.info = Some(SourceInfo {
            mode: input.mode(),
            name: input.name(),
            input: text,
            event_count: 0,
            request_count: 0,
            gap_count: 0,
            lost_event_count: 0,
            progress: Progress::Reading(None),
            seed: None,
            behind_s: None,
        });
    }

    /// Back to the welcome screen.
    pub fn close(&mut self) {
        self.source = None;
        self.info = None;
        self.planned_end = None;
        self.start_over(Topology::default());
        self.selection = Selection::Nothing;
        self.filter = Filter::default();
        self.bookmarks.clear();
        self.refresh();
    }

    fn start_over(&mut self, topology: Topology) {
        self.layout = layout(&topology);
        self.reel = Reel::new(topology);
        self.player = Player::new(&self.reel);
        self.camera = Camera::default();
        self.counts_of = (usize::MAX, Filter::default());
    }

    /// Takes in what has arrived, up to a frame's worth. True where something changed.
    pub fn ingest(&mut self) -> bool {
        let mut taken = 0;
        let mut has_changed = false;
        while taken < EVENTS_PER_FRAME {
            let Some(message) = self.source.as_mut().and_then(Source::poll) else {
                break;
            };
            if let Message::Events(events) = &message {
                taken += events.len();
            }
            self.take(message);
            has_changed = true;
        }
        if has_changed {
            self.reel.settle();
        }
        has_changed
    }

    /// Takes in everything up to the end of the source.
    ///
    /// # Errors
    /// Where the source cannot be read to its end.
    pub fn ingest_all(&mut self) -> Result<(), SourceError> {
        while let Some(message) = self.source.as_mut().and_then(Source::wait) {
            if let Message::Failed(error) = message {
                return Err(error);
            }
            self.take(message);
        }
        self.reel.settle();
        Ok(())
    }

    /// Waits for the source's map: what can be wrong with an input shows here.
    ///
    /// # Errors
    /// Where the input cannot be opened.
    pub fn wait_opened(&mut self) -> Result<(), SourceError> {
        while self.reel.topology().components.is_empty() {
            match self.source.as_mut().and_then(Source::wait) {
                Some(Message::Failed(error)) => return Err(error),
                Some(message) => self.take(message),
                None => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Opened {
                topology,
                seed,
                planned_end,
            } => {
                self.start_over(*topology);
                self.planned_end = planned_end;
                if let Some(info) = &mut self.info {
                    info.seed = seed;
                }
                self.player.play(&self.reel);
                if self.mode() == Some(Mode::Live) {
                    self.player.follow_live(&self.reel, true);
                }
            }
            Message::Events(events) => {
                for event in &events {
                    self.reel.push(event);
                }
            }
            Message::Details(first, records) => self.reel.take_details(first, records),
            Message::Gap { from, to, events } => self.reel.gap(from, to, events),
            Message::State(state) => self.reel.jump(*state),
            Message::Progress(share) => self.set_progress(Progress::Reading(Some(share))),
            Message::Lost { cause, retry_in_s } => {
                self.set_progress(Progress::Lost { cause, retry_in_s });
            }
            Message::Back => self.set_progress(Progress::Reading(None)),
            Message::End => {
                self.reel.complete();
                if self.player.is_following_live() {
                    // Nothing new will come: the clock runs out like any other's.
                    self.player.follow_live(&self.reel, false);
                }
                self.set_progress(Progress::Complete);
            }
            Message::Failed(error) => {
                let cause = error.to_string();
                self.notice = Some(Notice {
                    text: cause.clone(),
                    is_error: true,
                });
                if self.reel.topology().components.is_empty() {
                    // What could not be opened is no recording to come back to.
                    if let Some(info) = self.info.take() {
                        self.recent.retain(|recent| recent.input != info.input);
                    }
                    self.source = None;
                } else {
                    self.set_progress(Progress::Broken { cause });
                }
            }
        }
    }

    fn set_progress(&mut self, progress: Progress) {
        if let Some(info) = &mut self.info {
            info.progress = progress;
        }
    }

    /// Moves the playhead by the wall time that went by.
    pub fn tick(&mut self, wall_ns: u64) {
        self.player.tick(&self.reel, wall_ns);
    }

    /// Works out what the view and the picture show; once per frame, after everything has moved.
    pub fn refresh(&mut self) {
        let (gap_count, lost) = self.reel.gaps();
        if let Some(info) = &mut self.info {
            info.event_count = self.reel.events().len() as u64;
            info.request_count = self.reel.requests().all().len() as u64;
            info.gap_count = gap_count;
            info.lost_event_count = lost;
        }
        let now = self.player.now();
        self.metrics = numbers::metrics(&self.reel, self.player.state(), now);
        self.components = numbers::components(&self.reel, self.player.state(), now);
        self.refresh_selection();
        if self.counts_of.0 != self.reel.events().len() || self.counts_of.1 != self.filter {
            self.counts = self.reel.requests().counts(&self.filter);
            self.counts_of = (self.reel.events().len(), self.filter.clone());
        }
        self.marks = self.reel.marks().to_vec();
        self.marks.extend(self.bookmarks.iter().cloned());
        self.marks.sort_by_key(|mark| mark.at);
        self.picture = picture(PictureInput {
            reel: &self.reel,
            layout: &self.layout,
            metrics: &self.metrics,
            components: &self.components,
            now,
            selection: self.selection,
            journey: self.journey.as_ref(),
            filter: &self.filter,
        });
    }

    fn refresh_selection(&mut self) {
        self.at_component.clear();
        match self.selection {
            Selection::Nothing => self.journey = None,
            Selection::Request(request) => {
                let is_whole = self.journey.as_ref().is_some_and(|journey| {
                    journey.request == request && journey.finished.is_some()
                });
                if !is_whole {
                    self.journey = journey(&self.reel, request);
                }
            }
            Selection::Component(id) => {
                self.journey = None;
                let visits = self.player.state().visits();
                let here = visits.iter().rev().filter(|(key, _)| key.component == id);
                for (key, _) in here {
                    if self.at_component.len() == REQUESTS_LISTED {
                        break;
                    }
                    if !self.at_component.contains(&key.request) {
                        self.at_component.push(key.request);
                    }
                }
            }
        }
    }

    fn mode(&self) -> Option<Mode> {
        self.info.as_ref().map(|info| info.mode)
    }

    /// What panels read this frame.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            screen: if self.info.is_some() {
                Screen::Main
            } else {
                Screen::Welcome
            },
            source: self.info.as_ref(),
            topology: self.reel.topology(),
            playback: self.player.view(&self.reel, self.planned_end),
            metrics: &self.metrics,
            components: &self.components,
            selection: self.selection_view(),
            lanes: self.reel.lanes(),
            marks: &self.marks,
            filter: &self.filter,
            counts: &self.counts,
            settings: self.settings,
            notice: self.notice.as_ref(),
            recent: &self.recent,
            scenarios: &self.scenarios,
            is_not_to_scale: self.picture.is_not_to_scale,
            sampled_one_in: self.picture.sampled_one_in,
        }
    }

    fn selection_view(&self) -> SelectionView<'_> {
        match (self.selection, &self.journey) {
            (Selection::Request(_), Some(journey)) => SelectionView::Request {
                journey,
                reached: journey
                    .stages
                    .partition_point(|stage| stage.arrived <= self.player.now()),
                is_followed: self.is_following,
            },
            (Selection::Component(id), _) => SelectionView::Component {
                id,
                requests: &self.at_component,
            },
            (Selection::Nothing | Selection::Request(_), _) => SelectionView::Nothing,
        }
    }

    /// What is drawn where this frame.
    #[must_use]
    pub const fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Where everything stands.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The run.
    #[must_use]
    pub const fn reel(&self) -> &Reel {
        &self.reel
    }

    /// The playhead.
    #[must_use]
    pub const fn player(&self) -> &Player {
        &self.player
    }

    /// The camera keeps the selected request in view.
    #[must_use]
    pub const fn is_following(&self) -> bool {
        self.is_following
    }

    /// The window must be drawn again without anybody touching it.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.player.is_playing()
    }

    /// Further messages may come.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.source.as_ref().is_some_and(|source| !source.is_over())
    }

    /// The viewer wants to leave.
    #[must_use]
    pub const fn wants_quit(&self) -> bool {
        self.wants_quit
    }
}
