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

pub(super) const MIDDLEWARE_START: &str = "middlewareStart";
pub(super) const MIDDLEWARE_END: &str = "middlewareEnd";
/// Documents that a call to the database inserted, changed or deleted.
pub(super) const DOCUMENTS_AFFECTED: &str = "documentsAffected";

/// What a request may pass at its server behind the first middleware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Its address is looked up among the routes, inside the middleware that all of them have.
    Routes,
    /// The last middleware, the guard of its route, has let it through.
    Controller,
    /// Who is told what is decided, and stored.
    NotificationService,
}

impl Layer {
    pub(super) const ALL: [Self; 3] = [Self::Routes, Self::Controller, Self::NotificationService];

    pub(super) const fn start(self) -> &'static str {
        match self {
            Self::Routes => "routesStart",
            Self::Controller => "controllerStart",
            Self::NotificationService => "notificationServiceStart",
        }
    }

    pub(super) const fn end(self) -> &'static str {
        match self {
            Self::Routes => "routesEnd",
            Self::Controller => "controllerEnd",
            Self::NotificationService => "notificationServiceEnd",
        }
    }
}

/// When a request passed the layers of its server, in ns since it arrived there.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    middleware_start_ns: u64,
    /// By [`Layer::ALL`]: entered, left.
    layers: [(Option<u64>, Option<u64>); 3],
}

impl Served {
    /// The middleware begins.
    #[must_use]
    pub fn begin(visit: &Visit) -> Self {
        Self {
            middleware_start_ns: visit.elapsed_ns(),
            layers: [(None, None); 3],
        }
    }

    /// The layer begins.
    pub fn enter(&mut self, layer: Layer, visit: &Visit) {
        self.stay(layer).0 = Some(visit.elapsed_ns());
    }

    /// The layer is done.
    pub fn leave(&mut self, layer: Layer, visit: &Visit) {
        self.stay(layer).1 = Some(visit.elapsed_ns());
    }

    const fn stay(&mut self, layer: Layer) -> &mut (Option<u64>, Option<u64>) {
        let [routes, controller, service] = &mut self.layers;
        match layer {
            Layer::Routes => routes,
            Layer::Controller => controller,
            Layer::NotificationService => service,
        }
    }

    /// What has not ended yet hands the request over at `until_ns`, which is its end; where no controller was
    /// reached, a middleware refused.
    fn detail(mut self, until_ns: u64) -> Detail {
        let (controller_start, _) = *self.stay(Layer::Controller);
        let mut told = Detail::default()
            .number(MIDDLEWARE_START, self.middleware_start_ns)
            .number(MIDDLEWARE_END, controller_start.unwrap_or(until_ns));
        for layer in Layer::ALL {
            if let (Some(start_ns), end_ns) = *self.stay(layer) {
                told = told
                    .number(layer.start(), start_ns)
                    .number(layer.end(), end_ns.unwrap_or(until_ns));
            }
        }
        told
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
    let inner = Layer::ALL.into_iter().flat_map(|it| [it.start(), it.end()]);
    let known = [MIDDLEWARE_START, MIDDLEWARE_END].into_iter().chain(inner);
    known.filter_map(|name| Some((name, number(detail, name)?)))
}

/// The whole number under that key.
pub(super) fn number(detail: &Detail, key: &str) -> Option<u64> {
    let (_, text) = detail.fields().iter().find(|(name, _)| *name == key)?;
    text.parse().ok()
}
