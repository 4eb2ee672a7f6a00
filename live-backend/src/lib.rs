//! The live notification backend that records every stage event.

pub mod load;
pub mod telemetry;
