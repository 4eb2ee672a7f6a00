//! Group commit: one thread writes, and one disk flush makes many requests durable at once.
//!
//! Belongs here: the writer thread, its queue, savepoints. Does not belong here: what is written.

use crate::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// Units of work that may wait for the writer; further ones wait at the caller.
pub(super) const WRITE_QUEUE_CAPACITY: usize = 1024;
/// Most units in one transaction: bounds how long the first of them waits for its flush.
const BATCH_UNITS_MAX: usize = 256;

/// Tells the caller how its unit ended, once the whole batch is durable or lost.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Runs inside the transaction, or learns that there is none.
pub(super) type Unit = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Reply + Send>;

/// What the writer is told.
pub(super) enum Order {
    Write(Unit),
    /// What came before is written, and nothing after.
    Close,
}

/// Wraps work so that its failure undoes only itself, and its answer waits for the commit.
pub(super) fn unit<T: Send + 'static>(
    work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
) -> (Unit, oneshot::Receiver<Result<T, StoreError>>) {
    let (answer, receiver) = oneshot::channel();
    let unit: Unit = Box::new(move |connection| {
        let result = connection.and_then(|connection| in_savepoint(connection, work));
        Box::new(move |committed: Result<(), StoreError>| {
            let result = committed.and(result);
            // The caller may have gone; what it wanted is done all the same.
            drop(answer.send(result));
        })
    });
    (unit, receiver)
}

fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.execute_batch("SAVEPOINT unit")?;
    match work(connection) {
        Ok(value) => {
            connection.execute_batch("RELEASE unit")?;
            Ok(value)
        }
        Err(error) => {
            connection.execute_batch("ROLLBACK TO unit; RELEASE unit")?;
            Err(error)
        }
    }
}

/// Writes until closed or every sender is gone; then everything is durable and the file is closed.
pub(super) fn run(connection: &Connection, mut orders: mpsc::Receiver<Order>) {
    let mut batch = Vec::with_capacity(BATCH_UNITS_MAX);
    while let Some(first) = orders.blocking_recv() {
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Write(unit) => batch.push(unit),
                Order::Close => orders.close(),
            }
            next = (batch.len() < BATCH_UNITS_MAX)
                .then(|| orders.try_recv().ok())
                .flatten();
        }
        commit(connection, batch.drain(..));
    }
}

fn commit(connection: &Connection, batch: impl Iterator<Item = Unit>) {
    let begun = connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(StoreError::from);
    let transaction = || begun.clone().map(|()| connection);
    let replies: Vec<Reply> = batch.map(|unit| unit(transaction())).collect();
    let committed = begun.and_then(|()| Ok(connection.execute_batch("COMMIT")?));
    if committed.is_err()
        && !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a failed transaction cannot be undone: {error}");
    }
    for reply in replies {
        reply(committed.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_is_closed_writes_what_came_before_whoever_still_holds_a_sender() {
        let connection = Connection::open_in_memory().unwrap();
        let (orders, receiver) = mpsc::channel(4);
        let insert = |sql: &'static str| unit(move |on| Ok(on.execute_batch(sql)?));
        let (before, mut is_written) = insert("CREATE TABLE t (n)");
        let (after, mut is_late) = insert("DROP TABLE t");
        assert!(orders.try_send(Order::Write(before)).is_ok());
        assert!(orders.try_send(Order::Close).is_ok());
        run(&connection, receiver);
        assert!(orders.try_send(Order::Write(after)).is_err());
        assert!(is_written.try_recv().unwrap().is_ok());
        assert!(is_late.try_recv().is_err());
        connection
            .execute_batch("INSERT INTO t VALUES (1)")
            .unwrap();
    }

    #[test]
    fn one_failing_unit_leaves_its_neighbours_in_place() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (n INTEGER UNIQUE)")
            .unwrap();
        let insert = |n: i64| {
            let work = move |connection: &Connection| {
                Ok(connection.execute("INSERT INTO t VALUES (?1)", [n])?)
            };
            unit(work)
        };
        let (units, mut answers): (Vec<_>, Vec<_>) = [1, 1, 2].map(insert).into_iter().unzip();
        commit(&connection, units.into_iter());
        let results: Vec<bool> = answers
            .iter_mut()
            .map(|answer| answer.try_recv().unwrap().is_ok())
            .collect();
        assert_eq!(results, [true, false, true]);
        let sum: i64 = connection
            .query_row("SELECT sum(n) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sum, 3);
    }
}
