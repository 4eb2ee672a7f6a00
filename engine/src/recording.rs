//! Reels: events turned into bytes and back (docs/reel-format.md is the specification).
//!
//! Belongs here: the layout, encoding, decoding, seeking inside one file. `file` is the only file
//! that touches files; everything beside it takes bytes and gives bytes.
//! Does not belong here: what events mean (model::state), how they come about (kernel, import).

mod batch;
mod block;
mod column;
mod compression;
mod content;
pub mod error;
pub mod file;
mod filter;
mod fold;
pub mod format;
mod index;
mod keyframe;
mod last_index;
pub mod meta;
mod reader;
mod recover;
mod scan;
mod sink;
mod stream;
mod verify;
mod walk;
mod writer;

pub use batch::{BatchDecoder, BatchEncoder};
pub use error::{DecodeError, ReelError, WriteError};
pub use fold::totals;
pub use index::BlockRef;
pub use meta::{
    Detail, EmbeddedScenario, FinishInfo, Gap, GapReason, ReelMeta, RunId, RunSource, Segment,
    Summary,
};
pub use reader::ReelReader;
pub use recover::{RecoverError, Recovered, recover};
pub use stream::{StreamDecoder, StreamItem};
pub use verify::{Problem, Verification, verify};
pub use writer::{ReelWriter, Resumption, WriterOptions};
