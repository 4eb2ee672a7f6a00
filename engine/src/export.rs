//! Reels for other tools.
//!
//! Belongs here: the foreign formats, one file each, and the visits they share. Does not belong here:
//! opening files (cli), reading foreign formats (import).

mod csv;
mod json_lines;
mod otlp;
mod parquet;
mod perfetto;
mod protobuf;
mod visits;

pub use csv::write_csv;
pub use json_lines::{EventRecord, write_json_lines};
pub use otlp::write_otlp;
pub use parquet::write_parquet;
pub use perfetto::write_perfetto;

use crate::recording::ReelError;
use std::io;

/// Why a reel cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The reel cannot be read.
    #[error("{source}")]
    Read {
        /// Why.
        #[from]
        source: ReelError,
    },
    /// The file cannot be written.
    #[error("cannot write: {source}")]
    Write {
        /// The system's words.
        #[from]
        source: io::Error,
    },
}

impl From<serde_json::Error> for ExportError {
    fn from(error: serde_json::Error) -> Self {
        Self::Write {
            source: error.into(),
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Events read.
    pub events: u64,
    /// Rows, lines, spans or slices written.
    pub items: u64,
}
