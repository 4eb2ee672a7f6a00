//! The store: everything that must survive the process, flushed before it is answered.
//!
//! Belongs here: which kinds of store there are. Does not belong here: how one of them works (its folder).

mod embedded;

pub(crate) use embedded::{
    Store, StoreError, StoreWriter, histories, jobs, notifications, records, sessions, users,
};
