//! Transactions of a process that is gone: what they changed nobody else may change.
//!
//! Belongs here: ending them. Does not belong here: our own transactions.
//!
//! A server ends such a transaction by itself after a minute, by default, and a person's news would wait for
//! it. So whoever has waited looks whether one has had nothing to do for some time, and ends it. Where its
//! process is only slow, that one's driver does the transaction again: all of it, or nothing, as ever.

use super::{CALL_MAX, Mongo, StoreError};
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use std::future::Future;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// How long a change waits before it looks for what may be in its way.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// A process that lives has given a call up by then, however much it has to do.
const SILENCE_MAX: Duration = CALL_MAX;
/// Transactions ended by one look.
const ENDED_MAX: i64 = 100;

impl Mongo {
    /// Makes a change, past what others began and left.
    pub(super) async fn past_abandoned<T>(&self, mut change: impl Future<Output = T> + Unpin) -> T {
        loop {
            if let Ok(done) = tokio::time::timeout(WAIT_MAX, &mut change).await {
                return done;
            }
            if !self.may_look() {
                continue;
            }
            tokio::select! {
                biased;
                done = &mut change => return done,
                ended = self.end_abandoned() => match ended {
                    Ok(0) => {}
                    Ok(ended) => {
                        tracing::info!("{ended} transactions of a process that is gone are ended");
                    }
                    Err(error) => tracing::debug!(%error, "{error}"),
                },
            }
        }
    }

    /// One look is enough for all that wait: a server with too much to do gets no more from each of them.
    fn may_look(&self) -> bool {
        let looked_at = &self.inner.looked_at;
        let mut looked_at = looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked_at.is_none_or(|at| at.elapsed() >= WAIT_MAX);
        if is_due {
            *looked_at = Some(Instant::now());
        }
        is_due
    }

    /// Ends transactions of this program that nobody goes on with; the answer is how many.
    async fn end_abandoned(&self) -> Result<usize, StoreError> {
        let silence_us = i64::try_from(SILENCE_MAX.as_micros()).unwrap_or(i64::MAX);
        let own = doc! {
            "type": "idleSession",
            "appName": &self.inner.application,
            "transaction.timeInactiveMicros": { "$gte": silence_us },
        };
        // A user may always see and end what is the user's own.
        let admin = self.inner.client.database("admin");
        let looking = admin.aggregate([
            doc! { "$currentOp": { "idleSessions": true } },
            doc! { "$match": own },
            doc! { "$limit": ENDED_MAX },
            doc! { "$project": { "lsid.id": 1 } },
        ]);
        let found: Vec<Document> = looking.await?.try_collect().await?;
        let sessions = found.into_iter().filter_map(|mut it| it.remove("lsid"));
        let sessions: Vec<Bson> = sessions.collect();
        if sessions.is_empty() {
            return Ok(0);
        }
        let ended = sessions.len();
        let ending = doc! { "killSessions": sessions };
        self.inner.database.run_command(ending).await?;
        Ok(ended)
    }
}
