//! Checks of the suite: how many documents a call affected.
//!
//! Belongs here: the count that is recorded. Does not belong here: what the documents hold.

use super::*;
use crate::store::affected::counted;

pub(super) async fn a_call_counts_the_documents_that_it_affected(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    // SQLite counts rows, and has one for each line of a history; MongoDB counts documents.
    let (of_signup, of_login) = match store {
        Store::Embedded(_) => (6, 12),
        Store::MongoDb(_) => (3, 6),
    };
    let made = store.create_user(user("a@b.example"), welcome("n1"), WallMs(5));
    let (made, count) = counted(made).await;
    let (id, _) = made.unwrap();
    assert_eq!(count, of_signup, "a signup, its mail and the job");
    let found = store.user_by_email("a@b.example".to_owned());
    let (found, count) = counted(found).await;
    assert_eq!((found.unwrap().is_some(), count), (true, 0));
    let (failed, count) = counted(store.record_failed_login(Some(id), WallMs(6))).await;
    failed.unwrap();
    assert_eq!(count, 1, "an attempt");
    let login = both("n2", NotificationType::Login);
    let login = store.record_login(session("s1", id), login, WallMs(7));
    let (jobs, count) = counted(login).await;
    assert_eq!((jobs.unwrap().len(), count), (2, of_login));
    open.close().await;
}
