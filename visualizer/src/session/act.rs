//! Carries out what a panel, a key or a script asks for.
//!
//! Belongs here: one arm per action. Does not belong here: which key means which action.

use super::Session;
use crate::source::Input;
use crate::view::{Action, Direction, Mark, MarkKind, Notice, Selection, SelectionView};
use egui::Rect;
use flowreel_engine::model::id::{ComponentId, RequestId};
use flowreel_engine::model::time::TimeNs;

/// Bookmarks nearer than this to the playhead are taken away rather than doubled.
const BOOKMARK_REACH_NS: u64 = 200_000_000;

impl Session {
    /// Carries out one action. `graph` is the rectangle the graph is drawn in.
    pub fn act(&mut self, action: Action, graph: Rect) {
        match action {
            Action::Play => self.player.play(&self.reel),
            Action::Pause => self.player.pause(),
            Action::TogglePlay if self.player.is_playing() => self.player.pause(),
            Action::TogglePlay => self.player.play(&self.reel),
            Action::Shuttle(direction) => self.player.shuttle(direction),
            Action::StepEvent(direction) => {
                let request = self.selected_request();
                self.player.step_event(&self.reel, direction, request);
            }
            Action::StepHop(direction) => self.step_hop(direction),
            Action::StepTime(direction, ns) => self.player.step_time(&self.reel, direction, ns),
            Action::Seek(t) => {
                self.leave_live();
                self.player.seek(&self.reel, t);
            }
            Action::SeekStart => {
                self.leave_live();
                self.player.seek(&self.reel, TimeNs::ZERO);
            }
            Action::SeekEnd => self.player.seek(&self.reel, self.reel.end()),
            Action::SeekError(direction) => self.seek_error(direction),
            Action::SetSpeed(speed) => self.player.set_speed(speed),
            Action::SetStepMode(is_on) => self.player.set_step_mode(is_on),
            Action::ToggleLoopIn => self.player.toggle_loop_in(),
            Action::ToggleLoopOut => self.player.toggle_loop_out(),
            Action::ToggleBookmark => self.toggle_bookmark(),
            Action::FollowLive(is_following) => self.player.follow_live(&self.reel, is_following),
            Action::Select(selection) => {
                self.is_following = matches!(selection, Selection::Request(_));
                self.selection = selection;
            }
            Action::FollowSelection(is_following) => self.is_following = is_following,
            Action::SetFilter(filter) => self.filter = filter,
            Action::FitAll => self.camera.fit_all(),
            Action::FitSelection => self.fit_selection(graph),
            Action::Zoom(factor) => {
                let bounds = self.layout.bounds;
                self.camera.zoom_at(factor, graph.center(), bounds, graph);
            }
            Action::Open(path) => self.open(&Input::parse(&path.to_string_lossy())),
            Action::Attach(address) => {
                let address = if address.contains("://") {
                    address
                } else {
                    format!("http://{address}")
                };
                self.open(&Input::parse(&address));
            }
            Action::Close => self.close(),
            Action::SetSettings(settings) => self.settings = settings,
            Action::DismissNotice => self.notice = None,
            Action::Quit => self.wants_quit = true,
        }
    }

    /// Selects by the name used on the command line: `r-12`, `12`, or a component's id.
    ///
    /// # Errors
    /// One sentence where nothing has that name.
    pub fn select_named(&mut self, name: &str) -> Result<(), String> {
        let topology = self.reel.topology();
        if let Some(id) = topology.component_named(name) {
            self.selection = Selection::Component(id);
            return Ok(());
        }
        let number = name.strip_prefix("r-").unwrap_or(name);
        let request = number.parse().ok().map(RequestId);
        match request.filter(|request| self.reel.requests().get(*request).is_some()) {
            Some(request) => {
                self.selection = Selection::Request(request);
                Ok(())
            }
            None => Err(format!(
                "nothing here is called `{name}`; name a component such as {} or a request such as r-1",
                topology.component_name(ComponentId(0))
            )),
        }
    }

    fn selected_request(&self) -> Option<RequestId> {
        match self.selection {
            Selection::Request(request) => Some(request),
            Selection::Nothing | Selection::Component(_) => None,
        }
    }

    fn leave_live(&mut self) {
        if self.player.is_following_live() {
            self.player.pause();
        }
    }

    fn step_hop(&mut self, direction: Direction) {
        if let SelectionView::Request { journey, .. } = self.selection_view() {
            let moments: Vec<TimeNs> = journey.stages.iter().map(|stage| stage.arrived).collect();
            self.player.step_to(&self.reel, direction, &moments);
        }
    }

    fn seek_error(&mut self, direction: Direction) {
        if self.player.step_error(&self.reel, direction) {
            return;
        }
        let (side, now) = match direction {
            Direction::Forward => ("after", self.player.now()),
            Direction::Back => ("before", self.player.now()),
        };
        self.notice = Some(Notice {
            text: format!("No more errors {side} {now}."),
            is_error: false,
        });
    }

    fn toggle_bookmark(&mut self) {
        let now = self.player.now();
        let before = self.bookmarks.len();
        self.bookmarks
            .retain(|mark| mark.at.0.abs_diff(now.0) > BOOKMARK_REACH_NS);
        if self.bookmarks.len() == before {
            self.bookmarks.push(Mark {
                at: now,
                until: None,
                kind: MarkKind::Bookmark,
                text: now.to_string(),
                component: ComponentId::NONE,
            });
        }
    }

    fn fit_selection(&mut self, graph: Rect) {
        let mut part = Rect::NOTHING;
        for (node, rect) in self.picture.nodes.iter().zip(&self.layout.nodes) {
            if node.is_marked {
                part = part.union(*rect);
            }
        }
        if part.is_positive() {
            self.camera.fit_to(part, graph);
        }
    }
}
