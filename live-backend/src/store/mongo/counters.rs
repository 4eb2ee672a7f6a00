//! Numbers that are given once: of users one by one, of jobs in blocks.
//!
//! Belongs here: giving them. Does not belong here: what they number.
//!
//! A number is taken before the transaction that uses it, as all of them would wait for one document
//! otherwise. One that is not used is never given again.

use super::names;
use crate::store::StoreError;
use mongodb::bson::doc;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// Job numbers that a process takes at once: whoever takes them waits for a second flush of the journal, which
/// must not be one request in a hundred.
const BLOCK: i64 = 4096;

/// Collection `counters`: the last number given.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

pub(super) struct Counters {
    collection: Collection<Counter>,
    jobs: Mutex<std::ops::Range<i64>>,
}

impl Counters {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            collection: database.collection(names::COUNTERS),
            jobs: Mutex::new(0..0),
        }
    }

    pub(super) async fn next_user(&self) -> Result<i64, StoreError> {
        self.take(names::USER_COUNTER, 1).await
    }

    /// A number each, ascending within the process.
    pub(super) async fn next_jobs(&self, count: usize) -> Result<Vec<i64>, StoreError> {
        let mut block = self.jobs.lock().await;
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            if let Some(id) = block.next() {
                taken.push(id);
                continue;
            }
            let last = self.take(names::JOB_COUNTER, BLOCK).await?;
            *block = last - BLOCK + 1..last + 1;
        }
        Ok(taken)
    }

    /// Raises a counter; the answer is its new value.
    async fn take(&self, counter: &str, count: i64) -> Result<i64, StoreError> {
        let raised = self
            .collection
            .find_one_and_update(doc! { "_id": counter }, doc! { "$inc": { "value": count } })
            .return_document(ReturnDocument::After)
            .await?;
        let raised = raised.ok_or_else(|| StoreError::Corrupt {
            what: format!("the counter {counter} is gone"),
        })?;
        Ok(raised.value)
    }
}
