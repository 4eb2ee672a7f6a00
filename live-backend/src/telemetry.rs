//! Telemetry: what the live system did, as stage events, from the hot path to the reel.
//!
//! Belongs here: the only clock, typed stages, the rings they are stored into, the one recorder that
//! orders, folds and writes them, and what is read back (status, journeys, the growing reel).
//! Does not belong here: any decision of the backend; other folders hand over a stage, never bytes.
//!
//! The hot path is [`Telemetry::emit`]: read the clock, store into this thread's ring, return. It never
//! blocks and never fails; a full ring loses the event and counts it. One recorder thread empties all
//! rings, puts the events in order, applies them to the state and writes them to the reel, so that
//! emitted = written + dropped holds at the end of every run.

mod broken;
pub mod clock;
pub mod detail;
mod drain;
mod emit;
mod fold;
mod ids;
pub mod journal;
pub mod journey;
mod lane;
pub mod live;
mod mirror;
mod order;
pub mod path;
pub mod recorder;
pub mod request;
mod resume;
mod retention;
mod segment;
mod served;
mod split;
mod spool;
pub mod stage;
pub mod status;
pub mod stream;
pub mod topology;
mod transport;
pub mod visit;

pub use broken::Survivor;
pub use clock::{Clock, Stamp};
pub use detail::Detail;
pub use emit::{Stage, Telemetry};
pub use fold::RecorderCounts;
pub use journey::Part;
pub use mirror::{Mirror, Token};
pub use recorder::{Receiving, Recorder, RecorderError, RecordingEnd, RecordingSettings};
pub use retention::Keep;
pub use served::{Layer, Served};
pub use stream::{FollowError, Follower};
pub use topology::{Class, Place};
pub use transport::{Shipper, ShippingEnd, TransportError, TransportSettings};
pub use visit::{AfterFailure, Visit};
