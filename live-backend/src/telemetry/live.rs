//! The live view's telling of the run: events by name, the system's word, figures over time.
//!
//! Belongs here: the one tap on the recorder's folded stream and what is made of it (events of
//! requirements LV-107 to LV-123, the rule C13, rings of figures). Does not belong here: sockets and
//! subscriptions (`websocket/live_view`), the reducer (engine), the stages themselves (stage.rs).
//!
//! Nothing here counts anything a second time: an event says what a folded stage event says, in the
//! live view's words. While nobody listens the tap is shut and costs one comparison per event.

pub mod event;
pub mod feed;
pub mod figures;
pub mod health;
pub mod history;
pub mod machine;
pub mod mapping;
pub mod points;
pub mod requests;
pub(in crate::telemetry) mod tap;
pub mod words;

pub use event::{LiveEvent, Payload};
pub use feed::{Batch, Pump};
pub use words::{EventName, StageStatus, SystemStage};
