//! What everybody shares: ids, time, events, topology, measures, state.
//!
//! Belongs here: values and their one meaning. Does not belong here: anything else of ours;
//! this folder imports nothing from its neighbours.

pub mod check;
pub mod event;
pub mod hash;
pub mod id;
pub mod metrics;
mod packed;
pub mod state;
pub mod table;
pub mod time;
pub mod topology;
