//! Typed stages that are no service: requests begin and end, jobs queue, clients come and go.
//!
//! Belongs here: one method per fact, each emitting the exact events the vocabulary binds for it.
//! Does not belong here: guards over a service (visit.rs), how an event is stored (lane.rs).

use super::detail::Detail;
use super::emit::Telemetry;
use super::journey::Part;
use super::topology::{Class, Place};
use super::visit::left;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::time::TimeNs;

impl Telemetry {
    /// A user action begins at the clients. `user_number` is 0 where the user is not known yet.
    #[must_use]
    pub fn begin_request(&self, class: Class, user_number: u64) -> Part {
        let part = Part::main(self.next_request_id(), class);
        let mut begun = part.event(EventKind::RequestBegun, Place::Clients);
        begun.value = user_number;
        self.emit(begun);
        part
    }

    /// A request whose id was handed out before, made on purpose, begins at the clients.
    pub fn begin_simulated(&self, part: Part) {
        let begun = part.event(EventKind::RequestBegun, Place::Clients);
        self.emit_with_detail(begun, Detail::of("simulated", "true"));
    }

    /// A job that an earlier process accepted is taken over at `queue`: a request of its own in this run,
    /// because the earlier run's ids mean nothing in this reel. Emits its begin and its place in the queue.
    #[must_use]
    pub fn resume_job(&self, class: Class, queue: Place, attempt: u16) -> Part {
        let part = Part::main(self.next_request_id(), class).with_attempt(attempt);
        let begun = part.event(EventKind::RequestBegun, queue);
        self.emit_with_detail(begun, Detail::of("resumed", "accepted by an earlier run"));
        self.emit(part.event(EventKind::JobAdded, queue));
        part
    }

    /// The same for a job parked at `via` with `delay_ns` still to go.
    #[must_use]
    pub fn resume_delayed(&self, class: Class, via: Place, attempt: u16, delay_ns: u64) -> Part {
        let part = Part::main(self.next_request_id(), class).with_attempt(attempt);
        let begun = part.event(EventKind::RequestBegun, via);
        self.emit_with_detail(begun, Detail::of("resumed", "accepted by an earlier run"));
        let mut parked = part.event(EventKind::JobDelayed, via);
        parked.value = delay_ns;
        self.emit(parked);
        part
    }

    /// The request goes `count` ways: one way keeps part 0, several make parts 1, 2, …
    /// Call it once per request, before its jobs are added.
    #[must_use]
    pub fn split(&self, part: Part, count: u16) -> Vec<Part> {
        if count <= 1 {
            return vec![part];
        }
        self.note_split(part.request, count);
        (1..=count).map(|number| part.copy(number)).collect()
    }

    /// An e-mail job enters the mail queue for its first run; call it before a worker can see the job.
    /// The answer is the part to store with the job.
    #[must_use]
    pub fn email_queued(&self, part: Part, from: Place, priority: u64, size_bytes: u64) -> Part {
        let part = part.with_attempt(1);
        let mut queued = part.event(EventKind::EmailQueued, Place::Mail);
        queued.value = size_bytes;
        let [left, added] = added(part, from, Place::Mail, priority);
        self.emit_all([left, added, queued]);
        part
    }

    /// An in-app job enters its queue for its first run; call it before a worker can see the job.
    /// The answer is the part to store with the job.
    #[must_use]
    pub fn in_app_queued(&self, part: Part, from: Place, priority: u64) -> Part {
        let part = part.with_attempt(1);
        let queued = part.event(EventKind::InAppQueued, Place::InApp);
        let [left, added] = added(part, from, Place::InApp, priority);
        self.emit_all([left, added, queued]);
        part
    }

    /// A parked job is due: it leaves `via` for `queue` with its attempt raised by one. Call it before a
    /// worker can see the job; the answer is the part to store with it.
    #[must_use]
    pub fn retry_due(&self, part: Part, via: Place, queue: Place, priority: u64) -> Part {
        let mut ended = part.event(EventKind::ServiceEnded, via);
        ended.outcome = Outcome::Ok;
        let next = part.with_attempt(part.attempt.saturating_add(1));
        let [left, added] = added(next, via, queue, priority);
        self.emit_all([ended, left, added]);
        next
    }

    /// An operator sends a dead letter to `queue` again, as a new first run of its ladder.
    #[must_use]
    pub fn job_requeued(&self, part: Part, queue: Place, priority: u64) -> Part {
        let next = part.with_attempt(1);
        let mut requeued = next.event(EventKind::JobRequeued, Place::Dlq);
        requeued.peer = queue.component();
        self.note_part_reopened(part);
        // The requeue itself is the move, so no `Forwarded` stands between.
        let [_moved, added] = added(next, Place::Dlq, queue, priority);
        self.emit_all([requeued, added]);
        next
    }

    /// A job that was announced and could not be stored after all leaves its queue; its part has failed.
    pub fn job_lost(&self, part: Part, queue: Place) {
        let mut abandoned = part.event(EventKind::Abandoned, queue);
        abandoned.outcome = Outcome::Cancelled;
        self.emit(abandoned);
        self.finish_part(part, queue, queue, Outcome::Failed);
    }

    /// A job whose notification expired leaves its queue unserved; its part has failed.
    pub fn job_expired(&self, part: Part, queue: Place, limit_ns: u64) {
        let mut timed_out = part.event(EventKind::TimedOut, queue);
        timed_out.outcome = Outcome::TimedOut;
        timed_out.value = limit_ns;
        self.emit(timed_out);
        self.finish_part(part, queue, queue, Outcome::Failed);
    }

    /// A job parked at `via` was taken away by a person; its part has failed.
    pub fn parked_job_lost(&self, part: Part, via: Place) {
        let mut ended = part.event(EventKind::ServiceEnded, via);
        ended.outcome = Outcome::Cancelled;
        self.emit(ended);
        self.finish_part(part, via, via, Outcome::Failed);
    }

    /// A dead letter was thrown away by a person; its part was over before.
    pub fn dead_letter_discarded(&self, part: Part) {
        let mut discarded = part.event(EventKind::Abandoned, Place::Dlq);
        discarded.outcome = Outcome::Cancelled;
        self.emit(discarded);
    }

    /// The request is refused at the door of `place`, where `present_count` are present already.
    pub fn rejected(&self, part: Part, from: Place, place: Place, present_count: u64) {
        let mut arrived = part.event(EventKind::Arrived, place);
        arrived.peer = from.component();
        let mut rejected = part.event(EventKind::Rejected, place);
        rejected.outcome = Outcome::Rejected;
        rejected.value = present_count;
        self.emit_all([left(part, from, place), arrived, rejected]);
        self.finish_part(part, place, place, Outcome::Rejected);
    }

    /// The request ends at `place` outside any visit, for example when no server could be reached.
    pub fn end_request(&self, part: Part, place: Place, outcome: Outcome) {
        self.finish_part(part, place, place, outcome);
    }

    /// The client confirmed the notification, `since_ns` after it was written to the socket.
    pub fn in_app_acknowledged(&self, part: Part, since_ns: u64) {
        let mut event = part.event(EventKind::InAppAcknowledged, Place::Websocket);
        event.value = since_ns;
        self.emit(event);
    }

    /// The same with who confirmed what: `notification`, `user`, `socket`.
    pub fn in_app_confirmed(&self, part: Part, since_ns: u64, told: Detail) {
        let mut event = part.event(EventKind::InAppAcknowledged, Place::Websocket);
        event.value = since_ns;
        self.emit_with_detail(event, told);
    }

    /// The user read the notification, `since_ns` after it was written to the socket.
    pub fn in_app_read(&self, part: Part, since_ns: u64) {
        let mut event = part.event(EventKind::InAppRead, Place::Websocket);
        event.value = since_ns;
        self.emit(event);
    }

    /// A client connected; that many connections are open now.
    pub fn connection_opened(&self, open_count: u64) {
        self.emit(fact(
            EventKind::ConnectionOpened,
            Place::Websocket,
            open_count,
        ));
    }

    /// A client proved who it is.
    pub fn connection_authenticated(&self, user_number: u64) {
        self.emit(fact(
            EventKind::ConnectionAuthenticated,
            Place::Websocket,
            user_number,
        ));
    }

    /// A client left; that many connections are open now. `was_authenticated` says whether it had proved
    /// who it is.
    pub fn connection_closed(&self, open_count: u64, was_authenticated: bool) {
        let mut event = fact(EventKind::ConnectionClosed, Place::Websocket, open_count);
        if was_authenticated {
            event.outcome = Outcome::Ok;
        }
        self.emit(event);
    }

    /// A client joined a room that has that many members now.
    pub fn room_joined(&self, member_count: u64) {
        self.emit(fact(EventKind::RoomJoined, Place::Websocket, member_count));
    }

    /// A client left a room that has that many members now.
    pub fn room_left(&self, member_count: u64) {
        self.emit(fact(EventKind::RoomLeft, Place::Websocket, member_count));
    }

    /// The balancer bound a session to `server`.
    pub fn session_stuck(&self, server: Place, user_number: u64) {
        let mut event = fact(EventKind::SessionStuck, Place::Balancer, user_number);
        event.peer = server.component();
        self.emit(event);
    }

    /// A place became healthy or unhealthy.
    pub fn health_changed(&self, place: Place, is_healthy: bool) {
        self.emit(fact(EventKind::HealthChanged, place, u64::from(is_healthy)));
    }

    /// A worker has that many runs in progress, at least one.
    pub fn worker_busy(&self, worker: Place, run_count: u64) {
        self.emit(fact(EventKind::WorkerBusy, worker, run_count));
    }

    /// A worker has nothing to do.
    pub fn worker_idle(&self, worker: Place) {
        self.emit(fact(EventKind::WorkerIdle, worker, 0));
    }

    /// A fault begins at `place`; `kind` as in a scenario. `length_ns` is 0 where no end is planned.
    pub fn fault_began(&self, place: Place, kind: &str, length_ns: u64) {
        let event = fact(EventKind::FaultBegan, place, length_ns);
        self.emit_with_detail(event, Detail::of("kind", kind));
    }

    /// A fault at `place` is over.
    pub fn fault_ended(&self, place: Place, kind: &str) {
        let event = fact(EventKind::FaultEnded, place, 0);
        self.emit_with_detail(event, Detail::of("kind", kind));
    }

    /// An operator changed a setting; `value_milli` is the new value in thousandths.
    pub fn control_applied(&self, place: Place, what: Detail, value_milli: u64) {
        self.emit_with_detail(fact(EventKind::ControlApplied, place, value_milli), what);
    }

    /// One part reached its end at `place`; the request's end follows with its last part. Its path is the
    /// one `path_of` lies on, which differs from `place` at the dead letters, where both paths end.
    pub(super) fn finish_part(&self, part: Part, place: Place, path_of: Place, outcome: Outcome) {
        let mut part_end = part.event(EventKind::PartFinished, place);
        part_end.outcome = outcome;
        part_end.value = path_code(path_of);
        let Some(end) = self.note_part_end(part, outcome) else {
            self.emit(part_end);
            return;
        };
        let whole = Part::main(part.request, part.class);
        let mut request_end = whole.event(EventKind::RequestFinished, place);
        request_end.outcome = end.outcome;
        request_end.value = u64::from(end.part_count);
        self.emit_all([part_end, request_end]);
    }
}

/// An event about no request.
fn fact(kind: EventKind, place: Place, value: u64) -> StageEvent {
    let mut event = StageEvent::new(TimeNs(0), kind, place.component());
    event.request = RequestId::NONE;
    event.value = value;
    event
}

fn added(part: Part, from: Place, queue: Place, priority: u64) -> [StageEvent; 2] {
    let mut added = part.event(EventKind::JobAdded, queue);
    added.peer = from.component();
    added.value = priority;
    [left(part, from, queue), added]
}

/// 1 + the position of the path that runs through `place`, 0 where none does.
pub(super) const fn path_code(place: Place) -> u64 {
    match place {
        Place::Mail | Place::Retry1 | Place::Retry2 | Place::MailWorker | Place::Smtp => 1,
        Place::InApp | Place::InAppRetry | Place::InAppWorker | Place::Websocket => 2,
        Place::Clients
        | Place::Balancer
        | Place::Server1
        | Place::Server2
        | Place::Server3
        | Place::Database
        | Place::Dlq => 0,
    }
}
