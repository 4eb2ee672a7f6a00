//! How many documents one call to the store inserted, changed or deleted, for whoever asks.
//!
//! Belongs here: the count of the call in progress. Does not belong here: counts of all calls (tally), what
//! is recorded of them (request).
//!
//! The count belongs to the task that calls, so that no signature says it; where nobody asks, it is nowhere.

use std::cell::Cell;
use std::future::Future;

tokio::task_local! {
    static AFFECTED: Cell<u64>;
}

/// Runs a call to the store; the answer is its own, and how many documents it affected.
pub(crate) async fn counted<T>(call: impl Future<Output = T>) -> (T, u64) {
    let counting = async {
        let answer = call.await;
        (answer, so_far())
    };
    AFFECTED.scope(Cell::new(0), counting).await
}

/// The call affected so many more.
pub(super) fn add(count: u64) {
    set(so_far().saturating_add(count));
}

/// How many the call affected so far.
pub(super) fn so_far() -> u64 {
    AFFECTED.try_with(Cell::get).unwrap_or(0)
}

/// What came after that count was undone.
pub(super) fn set(count: u64) {
    // Nobody asks where there is none.
    AFFECTED
        .try_with(|affected| affected.set(count))
        .unwrap_or(());
}
