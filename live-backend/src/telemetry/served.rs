//! Collection points inside one visit at a server, and of one call to the database (LV-125, LV-126).
//!
//! Belongs here: their names, how they stand beside the event that ends the visit. Does not belong here:
//! when a layer begins and ends (middleware), how they are shown (live/points.rs).
//!
//! They are details and no events, because what happens between two layers is nobody's stay: each is the
//! time since the request arrived at its server, in ns. `requestReceived` and `responseTime` are the events
//! that open and end the visit.

use super::detail::Detail;
use super::visit::Visit;
use flowreel_engine::model::event::Outcome;

const MIDDLEWARE_START: &str = "middlewareStart";
const MIDDLEWARE_END: &str = "middlewareEnd";
const CONTROLLER_START: &str = "controllerStart";
const CONTROLLER_END: &str = "controllerEnd";
/// Documents that a call to the database inserted, changed or deleted.
pub(super) const DOCUMENTS_AFFECTED: &str = "documentsAffected";

/// When a request passed the layers of its server, in ns since it arrived there.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    middleware_start_ns: u64,
    controller_start_ns: Option<u64>,
    controller_end_ns: Option<u64>,
}

impl Served {
    /// The middleware begins.
    #[must_use]
    pub fn begin(visit: &Visit) -> Self {
        Self {
            middleware_start_ns: visit.elapsed_ns(),
            controller_start_ns: None,
            controller_end_ns: None,
        }
    }

    /// The last middleware lets the request through to its controller.
    pub fn enter_controller(&mut self, visit: &Visit) {
        self.controller_start_ns = Some(visit.elapsed_ns());
    }

    /// The controller has made its answer.
    pub fn leave_controller(&mut self, visit: &Visit) {
        self.controller_end_ns = Some(visit.elapsed_ns());
    }

    /// A controller that has not answered yet hands the request over at `until_ns`, which is its end; where
    /// none was reached, a middleware refused.
    fn detail(self, until_ns: u64) -> Detail {
        let told = Detail::default()
            .number(MIDDLEWARE_START, self.middleware_start_ns)
            .number(MIDDLEWARE_END, self.controller_start_ns.unwrap_or(until_ns));
        match self.controller_start_ns {
            None => told,
            Some(start_ns) => told
                .number(CONTROLLER_START, start_ns)
                .number(CONTROLLER_END, self.controller_end_ns.unwrap_or(until_ns)),
        }
    }
}

impl Visit {
    /// The server is done with its part of the request, which goes on as jobs.
    pub fn end_served(self, outcome: Outcome, served: Served) {
        let told = served.detail(self.elapsed_ns());
        self.end_with(outcome, told);
    }

    /// The server is done, and the request is over.
    pub fn end_request_served(self, outcome: Outcome, served: Served) {
        let told = served.detail(self.elapsed_ns());
        self.end_request_with(outcome, told);
    }

    /// The database has answered; so many documents it inserted, changed or deleted.
    pub fn end_query(self, outcome: Outcome, affected_count: u64) {
        self.end_with(
            outcome,
            Detail::default().number(DOCUMENTS_AFFECTED, affected_count),
        );
    }
}

/// The layers' points among the fields of a detail, each in ns since the request arrived.
pub(super) fn layers(detail: &Detail) -> impl Iterator<Item = (&'static str, u64)> {
    let known = [
        MIDDLEWARE_START,
        MIDDLEWARE_END,
        CONTROLLER_START,
        CONTROLLER_END,
    ];
    let found = move |name| Some((name, number(detail, name)?));
    known.into_iter().filter_map(found)
}

/// The whole number under that key.
pub(super) fn number(detail: &Detail, key: &str) -> Option<u64> {
    let (_, text) = detail.fields().iter().find(|(name, _)| *name == key)?;
    text.parse().ok()
}
