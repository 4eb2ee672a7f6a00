//! The playhead: where it stands, how it moves, and the one replayed state under it.
//!
//! Belongs here: play, step, seek, loop, speed. Does not belong here: clocks (the app hands in how
//! much wall time went by), drawing, where events come from.
//!
//! At T the state is the fold of all events at or before T, however T was reached.

use crate::reel::{Folded, Reel};
use crate::view::{Direction, Motion, Playback};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;

/// Live playheads further behind than this jump to the newest event.
const LIVE_LAG_MAX_NS: u64 = 500_000_000;
/// A frame that took longer moves the playhead by no more than this.
const FRAME_MAX_NS: u64 = 250_000_000;

/// The playhead of one reel.
#[derive(Clone, Debug)]
pub struct Player {
    now: TimeNs,
    folded: Folded,
    motion: Motion,
    speed: f64,
    is_step_mode: bool,
    is_following_live: bool,
    loop_in: Option<TimeNs>,
    loop_out: Option<TimeNs>,
}

impl Player {
    /// At the start, paused.
    #[must_use]
    pub fn new(reel: &Reel) -> Self {
        Self {
            now: TimeNs::ZERO,
            folded: reel.start(),
            motion: Motion::Stopped,
            speed: 1.0,
            is_step_mode: false,
            is_following_live: false,
            loop_in: None,
            loop_out: None,
        }
    }

    /// The playhead.
    #[must_use]
    pub const fn now(&self) -> TimeNs {
        self.now
    }

    /// The state at the playhead.
    #[must_use]
    pub const fn state(&self) -> &SystemState {
        &self.folded.state
    }

    /// True while the clock runs.
    #[must_use]
    pub fn is_playing(&self) -> bool {
        self.motion != Motion::Stopped
    }

    /// True while the playhead keeps to the newest event.
    #[must_use]
    pub const fn is_following_live(&self) -> bool {
        self.is_following_live
    }

    /// What panels read of it.
    #[must_use]
    pub fn view(&self, reel: &Reel, planned_end: Option<TimeNs>) -> Playback {
        Playback {
            now: self.now,
            end: reel.end(),
            planned_end: planned_end.map_or(reel.end(), |end| end.max(reel.end())),
            motion: self.motion,
            speed: self.speed,
            is_step_mode: self.is_step_mode,
            is_following_live: self.is_following_live,
            loop_in: self.loop_in,
            loop_out: self.loop_out,
        }
    }

    /// Moves the playhead to `t` and the state with it.
    pub fn seek(&mut self, reel: &Reel, t: TimeNs) {
        self.now = t.min(reel.end());
        reel.fold_to(&mut self.folded, reel.event_count_at(self.now));
    }

    /// Moves the playhead by the wall time that went by.
    pub fn tick(&mut self, reel: &Reel, wall_ns: u64) {
        if !self.is_playing() {
            return;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a quarter of a second times at most 64"
        )]
        let step_ns = (wall_ns.min(FRAME_MAX_NS) as f64 * self.speed) as u64;
        if self.is_following_live {
            let ahead = self.now.checked_add_ns(step_ns).unwrap_or(TimeNs::MAX);
            let lag = TimeNs(reel.end().0.saturating_sub(LIVE_LAG_MAX_NS));
            self.seek(reel, ahead.max(lag));
            return;
        }
        match self.motion {
            Motion::Backward => {
                let floor = self.loop_in.unwrap_or(TimeNs::ZERO);
                let next = TimeNs(self.now.0.saturating_sub(step_ns));
                if next <= floor {
                    self.motion = Motion::Stopped;
                }
                self.seek(reel, next.max(floor));
            }
            Motion::Forward | Motion::Stopped => {
                let next = self.now.checked_add_ns(step_ns).unwrap_or(TimeNs::MAX);
                match (self.loop_in, self.loop_out) {
                    (from, Some(out)) if next >= out && self.now < out => {
                        self.seek(reel, from.unwrap_or(TimeNs::ZERO));
                    }
                    _ => {
                        if next >= reel.end() {
                            self.motion = Motion::Stopped;
                        }
                        self.seek(reel, next);
                    }
                }
            }
        }
    }

    /// Starts the clock; at the end it starts over.
    pub fn play(&mut self, reel: &Reel) {
        if self.now >= reel.end() && !self.is_following_live {
            self.seek(reel, self.loop_in.unwrap_or(TimeNs::ZERO));
        }
        self.motion = Motion::Forward;
    }

    /// Stops the clock.
    pub fn pause(&mut self) {
        self.motion = Motion::Stopped;
        self.is_following_live = false;
    }

    /// Runs in a direction; again in the same one doubles the speed up to 5.
    pub fn shuttle(&mut self, direction: Direction) {
        let wanted = match direction {
            Direction::Back => Motion::Backward,
            Direction::Forward => Motion::Forward,
        };
        if self.motion == wanted {
            self.set_speed(self.speed * 2.0);
        }
        self.motion = wanted;
        self.is_following_live = false;
    }

    /// Recorded seconds per wall second, held to what the transport offers.
    pub fn set_speed(&mut self, speed: f64) {
        if speed.is_finite() {
            self.speed = speed.clamp(Playback::SPEEDS[0], Playback::SPEEDS[4]);
        }
    }

    /// To the next or previous moment at which something happened, to `request` where one is given.
    pub fn step_event(&mut self, reel: &Reel, direction: Direction, request: Option<RequestId>) {
        let wanted = |event: &&flowreel_engine::model::event::StageEvent| {
            request.is_none_or(|request| event.request == request)
        };
        let at = reel.event_count_at(self.now);
        let target = match direction {
            Direction::Forward => reel.events()[at..].iter().find(wanted).map(|e| e.t_ns),
            Direction::Back => {
                let before = reel.events()[..at].iter().rev();
                before
                    .filter(|event| event.t_ns < self.now)
                    .find(wanted)
                    .map(|e| e.t_ns)
            }
        };
        self.stop_at(reel, target);
    }

    /// To the next or previous moment at which something went wrong; false where there is none.
    pub fn step_error(&mut self, reel: &Reel, direction: Direction) -> bool {
        let time = |position: &usize| reel.events()[*position].t_ns;
        let target = match direction {
            Direction::Forward => {
                let after = reel.errors().partition_point(|p| time(p) <= self.now);
                reel.errors().get(after).map(time)
            }
            Direction::Back => {
                let before = reel.errors().partition_point(|p| time(p) < self.now);
                before.checked_sub(1).map(|last| time(&reel.errors()[last]))
            }
        };
        self.stop_at(reel, target);
        target.is_some()
    }

    /// To one of these moments, which are in order.
    pub fn step_to(&mut self, reel: &Reel, direction: Direction, moments: &[TimeNs]) {
        let target = match direction {
            Direction::Forward => moments.iter().find(|t| **t > self.now),
            Direction::Back => moments.iter().rev().find(|t| **t < self.now),
        };
        self.stop_at(reel, target.copied());
    }

    /// By a fixed length.
    pub fn step_time(&mut self, reel: &Reel, direction: Direction, ns: u64) {
        let target = match direction {
            Direction::Forward => self.now.checked_add_ns(ns).unwrap_or(TimeNs::MAX),
            Direction::Back => TimeNs(self.now.0.saturating_sub(ns)),
        };
        self.stop_at(reel, Some(target));
    }

    fn stop_at(&mut self, reel: &Reel, target: Option<TimeNs>) {
        if let Some(target) = target {
            self.pause();
            self.seek(reel, target);
        }
    }

    /// Keeps to the newest event.
    pub fn follow_live(&mut self, reel: &Reel, is_following: bool) {
        self.is_following_live = is_following;
        if is_following {
            self.motion = Motion::Forward;
            self.speed = 1.0;
            self.seek(reel, reel.end());
        }
    }

    /// Each → goes to the next event.
    pub fn set_step_mode(&mut self, is_on: bool) {
        self.is_step_mode = is_on;
        if is_on {
            self.pause();
        }
    }

    /// Sets the loop's start here, or clears it where it is set.
    pub fn toggle_loop_in(&mut self) {
        self.loop_in = if self.loop_in.is_some() {
            None
        } else {
            Some(self.now)
        };
        if self.loop_out.is_some_and(|out| Some(out) <= self.loop_in) {
            self.loop_out = None;
        }
    }

    /// Sets the loop's end here, or clears it where it is set.
    pub fn toggle_loop_out(&mut self) {
        self.loop_out = if self.loop_out.is_some() {
            None
        } else {
            Some(self.now)
        };
        if self.loop_in.is_some_and(|from| Some(from) >= self.loop_out) {
            self.loop_in = None;
        }
    }
}
