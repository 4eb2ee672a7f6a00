//! Client sockets: Socket.IO on every server, one registry of users over all of them.
//!
//! Belongs here: namespaces, events, who is connected where. Does not belong here: what is told to whom
//! (notification service), retries (worker). Socketioxide's types stop at this folder.

mod audience;
mod bus;
mod confirmed;
mod kept;
mod limits;
pub(crate) mod live_view;
mod message;
mod namespace;
mod one_secret;
mod own_head;
mod presence;
mod registry;
mod spread;

pub(crate) use bus::{Bus, BusError, next_heard};
pub(crate) use kept::{ANEW, LIVING_KEY, MARK, WHO_LIVES};
pub(crate) use limits::count_messages;
pub(crate) use live_view::LiveView;
pub(crate) use message::InAppMessage;
pub(crate) use namespace::{Gateway, ServerSockets};
pub(crate) use one_secret::agree_on_secret;
pub(crate) use own_head::own_head;
pub(crate) use registry::{DeliveryFault, Sockets};
