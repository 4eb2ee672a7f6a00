//! Jobs: one file each; running one twice equals running it once.
//!
//! Belongs here: the list of jobs. Does not belong here: retries (backoff), the loop (consumer).

pub(super) mod deliver_in_app;
pub(super) mod send_mail;
