//! Visits as guards: a part is in service at a place until the guard says how that ended.
//!
//! Belongs here: the stages that open and close a service, in the order the vocabulary binds
//! (`flowreel_engine::model::event`). Does not belong here: queues and single facts (stage.rs).
//!
//! A guard dropped without a word (a cancelled request, a stopped worker) closes its visit as
//! cancelled; on the main line that ends the request too, so nothing stays open for ever.

use super::detail::Detail;
use super::emit::Telemetry;
use super::journey::Part;
use super::topology::Place;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::time::TimeNs;

/// A part in service at a place.
#[derive(Debug)]
#[must_use = "a visit ends as cancelled when it is dropped; end it with its outcome"]
pub struct Visit {
    telemetry: Telemetry,
    part: Part,
    place: Place,
    role: Role,
    started: TimeNs,
    is_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// On the main line: the request ends where the visit is cancelled.
    Main,
    /// Inside the visit of a caller.
    Call,
    /// A worker's run of a job; the queue still has the job where the run is cancelled.
    Run,
}

/// Where a failed job goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Parked at `via` for `delay_ns`.
    Retry {
        /// Where it waits.
        via: Place,
        /// How long.
        delay_ns: u64,
    },
    /// The ladder is at its end.
    DeadLetter,
}

impl Telemetry {
    /// The part goes from `from` to `at` and is served there at once.
    pub fn enter(&self, part: Part, from: Place, at: Place) -> Visit {
        self.open(part, from, at, Role::Main)
    }

    /// A worker pulls the job from `queue` and begins its run. `part.attempt` is the run's number.
    pub fn pick_up(&self, part: Part, queue: Place, worker: Place) -> Visit {
        let mut picked = part.event(EventKind::JobPickedUp, queue);
        picked.peer = worker.component();
        let mut arrived = part.event(EventKind::Arrived, worker);
        arrived.peer = queue.component();
        let started = part.event(EventKind::ServiceStarted, worker);
        let at = self.emit_all([picked, arrived, started]);
        self.visit(part, worker, Role::Run, at)
    }

    fn open(&self, part: Part, from: Place, at: Place, role: Role) -> Visit {
        let started = part.event(EventKind::ServiceStarted, at);
        let [left, arrived] = moved(part, from, at);
        let started = self.emit_all([left, arrived, started]);
        self.visit(part, at, role, started)
    }

    fn visit(&self, part: Part, place: Place, role: Role, started: TimeNs) -> Visit {
        Visit {
            telemetry: self.clone(),
            part,
            place,
            role,
            started,
            is_open: true,
        }
    }
}

impl Visit {
    /// Whose visit it is.
    #[must_use]
    pub fn part(&self) -> Part {
        self.part
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Calls another place and keeps this one busy; end the inner visit before this one.
    pub fn call(&self, at: Place) -> Visit {
        self.telemetry.open(self.part, self.place, at, Role::Call)
    }

    /// Service is over.
    pub fn end(mut self, outcome: Outcome) {
        let ended = self.close(outcome);
        self.telemetry.emit(ended);
    }

    /// The same with what is told beside it.
    pub(super) fn end_with(mut self, outcome: Outcome, told: Detail) {
        let ended = self.close(outcome);
        self.telemetry.emit_with_detail(ended, told);
    }

    /// Time since it began, in ns.
    #[must_use]
    pub fn elapsed_ns(&self) -> u64 {
        self.telemetry.now().since_ns(self.started)
    }

    /// The balancer is done: it chose `server`, where `in_progress_count` requests are in progress.
    /// `reason` is the rule that chose, such as `round-robin` or `sticky`.
    pub fn picked(mut self, server: Place, in_progress_count: u64, reason: &str) {
        let ended = self.close(Outcome::Ok);
        let mut picked = self.part.event(EventKind::ServerPicked, self.place);
        picked.peer = server.component();
        picked.value = in_progress_count;
        self.telemetry.emit(ended);
        self.telemetry
            .emit_with_detail(picked, Detail::of("reason", reason));
    }

    /// The request ends here, without a job: answered with an error, refused, or nothing to tell.
    pub fn end_request(mut self, outcome: Outcome) {
        let ended = self.close(outcome);
        self.telemetry.emit(ended);
        self.telemetry
            .finish_part(self.part, self.place, self.place, outcome);
    }

    /// The same with what is told beside the visit's end.
    pub(super) fn end_request_with(mut self, outcome: Outcome, told: Detail) {
        let ended = self.close(outcome);
        self.telemetry.emit_with_detail(ended, told);
        self.telemetry
            .finish_part(self.part, self.place, self.place, outcome);
    }

    /// The relay took the e-mail with this reply code.
    pub fn email_sent(mut self, reply_code: u16) {
        let ended = self.close(Outcome::Ok);
        let mut sent = self.part.event(EventKind::EmailSent, self.place);
        sent.value = u64::from(reply_code);
        self.telemetry.emit_all([ended, sent]);
    }

    /// The same with what is known of the mail: `notification`, `recipient`, `message_id`, `reply`,
    /// `smtpStart`.
    pub fn email_sent_as(mut self, reply_code: u16, told: Detail) {
        let ended = self.close(Outcome::Ok);
        let mut sent = self.part.event(EventKind::EmailSent, self.place);
        sent.value = u64::from(reply_code);
        self.telemetry.emit(ended);
        self.telemetry.emit_with_detail(sent, told);
    }

    /// The relay refused the e-mail with this reply code, 0 where it gave none.
    pub fn email_bounced(self, reply_code: u16, cause: &str) {
        self.email_bounced_as(reply_code, Detail::of("cause", cause));
    }

    /// The same with what is known of it: `cause`, `smtpStart`.
    pub fn email_bounced_as(mut self, reply_code: u16, told: Detail) {
        let ended = self.close(Outcome::Failed);
        let mut bounced = self.part.event(EventKind::EmailBounced, self.place);
        bounced.value = u64::from(reply_code);
        self.telemetry.emit(ended);
        self.telemetry.emit_with_detail(bounced, told);
    }

    /// The notification was written to that many client sockets.
    pub fn in_app_delivered(mut self, socket_count: u64) {
        let ended = self.close(Outcome::Ok);
        let mut delivered = self.part.event(EventKind::InAppDelivered, self.place);
        delivered.value = socket_count;
        self.telemetry.emit_all([ended, delivered]);
    }

    /// The same with what is known of it: `servers`, `socketIoStart`.
    pub fn in_app_delivered_as(mut self, socket_count: u64, told: Detail) {
        let ended = self.close(Outcome::Ok);
        let mut delivered = self.part.event(EventKind::InAppDelivered, self.place);
        delivered.value = socket_count;
        self.telemetry.emit(ended);
        self.telemetry.emit_with_detail(delivered, told);
    }

    /// The run went well: the job, its part, and with the last part the request are over.
    pub fn job_completed(mut self) {
        let run_ns = self.telemetry.now().since_ns(self.started);
        let ended = self.close(Outcome::Ok);
        let mut completed = self.part.event(EventKind::JobCompleted, self.place);
        completed.value = run_ns;
        self.telemetry.emit_all([ended, completed]);
        self.telemetry
            .finish_part(self.part, self.place, self.place, Outcome::Ok);
    }

    /// The run went wrong: the job is parked for another run, or rests with the dead letters.
    pub fn job_failed(mut self, reply_code: u16, cause: &str, next: AfterFailure) {
        let ended = self.close(Outcome::Failed);
        let mut failed = self.part.event(EventKind::JobFailed, self.place);
        failed.value = u64::from(reply_code);
        self.telemetry.emit(ended);
        self.telemetry
            .emit_with_detail(failed, Detail::of("error", cause));
        match next {
            AfterFailure::Retry { via, delay_ns } => {
                let mut planned = self.part.event(EventKind::RetryScheduled, self.place);
                planned.peer = via.component();
                planned.value = delay_ns;
                let mut parked = self.part.event(EventKind::JobDelayed, via);
                parked.peer = self.place.component();
                parked.value = delay_ns;
                let left = left(self.part, self.place, via);
                self.telemetry.emit_all([planned, left, parked]);
            }
            AfterFailure::DeadLetter => {
                let mut dead = self.part.event(EventKind::JobDeadLettered, Place::Dlq);
                dead.peer = self.place.component();
                dead.value = u64::from(self.part.attempt);
                let left = left(self.part, self.place, Place::Dlq);
                self.telemetry.emit_all([left, dead]);
                self.telemetry
                    .finish_part(self.part, Place::Dlq, self.place, Outcome::Failed);
            }
        }
    }

    /// What a kill leaves: nobody says how it ended.
    #[cfg(test)]
    pub(super) fn cut_off(mut self) {
        self.is_open = false;
    }

    fn close(&mut self, outcome: Outcome) -> StageEvent {
        self.is_open = false;
        let mut ended = self.part.event(EventKind::ServiceEnded, self.place);
        ended.outcome = outcome;
        ended
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let ended = self.close(Outcome::Cancelled);
        self.telemetry.emit(ended);
        if self.role == Role::Main {
            self.telemetry
                .finish_part(self.part, self.place, self.place, Outcome::Cancelled);
        }
    }
}

/// The part leaves `from` for `to`.
pub(super) fn left(part: Part, from: Place, to: Place) -> StageEvent {
    let mut event = part.event(EventKind::Forwarded, from);
    event.peer = to.component();
    event
}

fn moved(part: Part, from: Place, to: Place) -> [StageEvent; 2] {
    let mut arrived = part.event(EventKind::Arrived, to);
    arrived.peer = from.component();
    [left(part, from, to), arrived]
}
