//! One request on a server: its visit in the recording, from arrival to answer or hand-over to jobs.
//!
//! Belongs here: what controllers and the service need to know of the request they serve.
//! Does not belong here: HTTP (middleware), what is told to whom (notification service).

use crate::faults::Faults;
use crate::queue::Queues;
use crate::store::StoreError;
use crate::store::affected::counted;
use crate::store::jobs::NewJob;
use crate::telemetry::{Layer, Part, Place, Served, Visit};
use flowreel_engine::model::event::Outcome;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The request being served; cheap to copy.
#[derive(Clone)]
pub(crate) struct RequestContext {
    inner: Arc<Inner>,
}

struct Inner {
    /// The id in `X-Request-Id` and in answers.
    id: String,
    server: Place,
    /// The visit at the server; gone once the request is answered or handed over, absent for requests
    /// that are not recorded.
    visit: Mutex<Option<(Visit, Served)>>,
    faults: Arc<Faults>,
}

impl RequestContext {
    pub(crate) fn new(
        id: String,
        server: Place,
        visit: Option<Visit>,
        faults: Arc<Faults>,
    ) -> Self {
        let visit = visit.map(|visit| {
            let served = Served::begin(&visit);
            (visit, served)
        });
        Self {
            inner: Arc::new(Inner {
                id,
                server,
                visit: Mutex::new(visit),
                faults,
            }),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.inner.id
    }

    /// The part that the job at `index` of `count` will be, once the request is handed over; `None`
    /// where the request is not recorded.
    pub(crate) fn part_of_job(&self, index: usize, count: usize) -> Option<Part> {
        let whole = self.visit().as_ref()?.0.part();
        whole.way(index, count)
    }

    /// Runs a store operation as a call to the database from this request.
    pub(crate) async fn in_database<T, E: From<StoreError>>(
        &self,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let call = self
            .visit()
            .as_ref()
            .map(|(visit, _)| visit.call(Place::Database));
        let (result, affected_count) = match self.inner.faults.pass(Place::Database).await {
            Ok(()) => counted(operation).await,
            Err(_refused) => (Err(StoreError::Injected.into()), 0),
        };
        if let Some(call) = call {
            match &result {
                Ok(_) => call.end_query(Outcome::Ok, affected_count),
                // All or nothing: what was counted was undone.
                Err(_) => call.end_query(Outcome::Failed, 0),
            }
        }
        result
    }

    /// The layer begins.
    pub(crate) fn enter(&self, layer: Layer) {
        if let Some((visit, served)) = &mut *self.visit() {
            served.enter(layer, visit);
        }
    }

    /// The layer is done; one that handed the request over had its end there.
    pub(crate) fn leave(&self, layer: Layer) {
        if let Some((visit, served)) = &mut *self.visit() {
            served.leave(layer, visit);
        }
    }

    /// Runs what a controller has the notification service do.
    pub(crate) async fn in_service<T>(&self, work: impl Future<Output = T>) -> T {
        self.enter(Layer::NotificationService);
        let done = work.await;
        self.leave(Layer::NotificationService);
        done
    }

    /// The server is done and hands the request over to its jobs, which are stored already.
    pub(crate) async fn hand_over(&self, queues: &Queues, jobs: Vec<NewJob>) {
        let visit = self.visit().take();
        let Some((visit, served)) = visit else {
            tracing::error!("a request that is not recorded made {} jobs", jobs.len());
            return;
        };
        let part: Part = visit.part();
        if jobs.is_empty() {
            visit.end_request_served(Outcome::Ok, served);
            return;
        }
        visit.end_served(Outcome::Ok, served);
        queues.announce(part, self.inner.server, jobs).await;
    }

    /// The answer is made; a request that was not handed over is over.
    pub(crate) fn answered(&self, is_ok: bool) {
        let visit = self.visit().take();
        if let Some((visit, served)) = visit {
            let outcome = if is_ok { Outcome::Ok } else { Outcome::Failed };
            visit.end_request_served(outcome, served);
        }
    }

    fn visit(&self) -> MutexGuard<'_, Option<(Visit, Served)>> {
        self.inner
            .visit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
