//! E-mail: messages, the way to a relay, and the embedded relay that keeps them.
//!
//! Belongs here: everything that speaks SMTP. Does not belong here: retries (worker), texts
//! (notification service). Lettre's types stop at this folder.

mod connections;
mod conversation;
pub(crate) mod message;
pub(crate) mod sink;
pub(crate) mod transport;
