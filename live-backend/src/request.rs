//! One request on a server: its visit in the recording, from arrival to answer or hand-over to jobs.
//!
//! Belongs here: what controllers and the service need to know of the request they serve.
//! Does not belong here: HTTP (middleware), what is told to whom (notification service).

use crate::faults::Faults;
use crate::queue::Queues;
use crate::store::StoreError;
use crate::store::jobs::NewJob;
use crate::telemetry::{Part, Place, Visit};
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
    visit: Mutex<Option<Visit>>,
    faults: Arc<Faults>,
}

impl RequestContext {
    pub(crate) fn new(
        id: String,
        server: Place,
        visit: Option<Visit>,
        faults: Arc<Faults>,
    ) -> Self {
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
        let whole = self.visit().as_ref()?.part();
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
            .map(|visit| visit.call(Place::Database));
        let result = match self.inner.faults.pass(Place::Database).await {
            Ok(()) => operation.await,
            Err(_refused) => Err(StoreError::Injected.into()),
        };
        if let Some(call) = call {
            call.end(if result.is_ok() {
                Outcome::Ok
            } else {
                Outcome::Failed
            });
        }
        result
    }

    /// The server is done and hands the request over to its jobs, which are stored already.
    pub(crate) async fn hand_over(&self, queues: &Queues, jobs: Vec<NewJob>) {
        let visit = self.visit().take();
        let Some(visit) = visit else {
            tracing::error!("a request that is not recorded made {} jobs", jobs.len());
            return;
        };
        let part: Part = visit.part();
        if jobs.is_empty() {
            visit.end_request(Outcome::Ok);
            return;
        }
        visit.end(Outcome::Ok);
        queues.announce(part, self.inner.server, jobs).await;
    }

    /// The answer is made; a request that was not handed over is over.
    pub(crate) fn answered(&self, is_ok: bool) {
        let visit = self.visit().take();
        if let Some(visit) = visit {
            visit.end_request(if is_ok { Outcome::Ok } else { Outcome::Failed });
        }
    }

    fn visit(&self) -> MutexGuard<'_, Option<Visit>> {
        self.inner
            .visit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
