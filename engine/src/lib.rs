//! Flowreel's engine: events, reels, the kernel that makes them, the reducer that reads them.
//!
//! Same scenario, seed and version: same bytes. Nothing here reads a clock, the environment, or a
//! thread count it was not given.

#![warn(missing_docs, clippy::missing_errors_doc)]
#![warn(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

pub mod analysis;
pub mod condition;
pub mod editing;
pub mod export;
pub mod import;
pub mod kernel;
pub mod model;
pub mod recording;
pub mod replay;
pub mod scenario;
