//! What can go wrong with a reel.
//!
//! Belongs here: one enum for bytes, one for reading a reel, one for writing it. Does not belong
//! here: exit codes (cli).

use std::io;

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The first bytes are not those of a reel.
    #[error("not a reel: it does not begin with the reel mark")]
    NotAReel,
    /// A layout this program does not know.
    #[error("reel format version {found} is newer than this program's; use a newer flowreel")]
    Version {
        /// Major version in the file.
        found: u16,
    },
    /// Bytes end too early.
    #[error("{what} is cut off: it needs {needed} bytes, {present} are there")]
    CutOff {
        /// What ends too early.
        what: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes present.
        present: usize,
    },
    /// Bytes that changed since they were written.
    #[error("{what} is damaged: its checksum does not match")]
    Checksum {
        /// What is damaged.
        what: &'static str,
    },
    /// No block begins here.
    #[error("no block begins here: the sync mark is missing")]
    Sync,
    /// A block's end does not repeat its length.
    #[error("the block's end does not repeat its length")]
    Trailer,
    /// An unknown way to store a payload.
    #[error("payload stored in an unknown way (codec {code}); use a newer flowreel")]
    Codec {
        /// Its code.
        code: u8,
    },
    /// A length beyond the limits.
    #[error("{what} of {bytes} bytes is over the limit of {limit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The most that is read.
        limit: usize,
    },
    /// zstd refused the bytes, or they gave another length than promised.
    #[error("the compressed payload cannot be read: {reason}")]
    Compression {
        /// zstd's words.
        reason: String,
    },
    /// MessagePack that cannot be read as what it should be.
    #[error("{what} cannot be read: {reason}")]
    Payload {
        /// What cannot be read.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A column of a batch that cannot be read.
    #[error("column `{column}` of a batch {reason}")]
    Column {
        /// Its key.
        column: char,
        /// Why.
        reason: &'static str,
    },
    /// A code outside its closed set.
    #[error("{what} code {code} is unknown; use a newer flowreel")]
    Code {
        /// Event kind or outcome.
        what: &'static str,
        /// The code.
        code: u8,
    },
}

/// Why a reel cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReelError {
    /// The file cannot be opened or read.
    #[error("cannot read: {source}")]
    Io {
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// A folder, a pipe, a device.
    #[error("not a file but {found}")]
    NotAFile {
        /// What it is.
        found: &'static str,
    },
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Bytes that are not what they should be.
    #[error("{error}")]
    Decode {
        /// Where, counted from the file's first byte.
        offset: u64,
        /// What is wrong.
        #[source]
        error: DecodeError,
    },
    /// The file is not the one that was opened any more.
    #[error("the file changed while it was read: {what}; open it again")]
    Changed {
        /// How.
        what: &'static str,
        /// Where it differs.
        offset: u64,
    },
    /// A block without which nothing can be shown is missing.
    #[error("the {what} block is missing or damaged")]
    Missing {
        /// Which.
        what: &'static str,
        /// Where reading stopped.
        offset: u64,
    },
}

impl ReelError {
    /// The byte offset it happened at, where there is one.
    #[must_use]
    pub const fn offset(&self) -> Option<u64> {
        match self {
            Self::Decode { offset, .. }
            | Self::Missing { offset, .. }
            | Self::Changed { offset, .. } => Some(*offset),
            Self::Io { .. } | Self::NotAFile { .. } | Self::Empty => None,
        }
    }

    pub(super) const fn at(offset: u64, error: DecodeError) -> Self {
        Self::Decode { offset, error }
    }
}

impl From<io::Error> for ReelError {
    fn from(source: io::Error) -> Self {
        Self::Io { source }
    }
}

/// Why a reel cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The bytes cannot be stored.
    #[error("cannot write the reel: {source}")]
    Io {
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// Events must come in order, without holes.
    #[error(
        "event {found} at {found_t_ns} ns follows event {last} at {last_t_ns} ns: out of order"
    )]
    Order {
        /// `seq` of the last event written.
        last: u64,
        /// Its time.
        last_t_ns: u64,
        /// `seq` of the event refused.
        found: u64,
        /// Its time.
        found_t_ns: u64,
    },
    /// An event names a detail record that is not the next one.
    #[error("detail record {found} is not the next one, {next}")]
    Detail {
        /// The id that comes next.
        next: u32,
        /// The id found.
        found: u32,
    },
    /// A record or a block beyond the limits.
    #[error("{what} of {bytes} bytes is over the limit of {limit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The most that is written.
        limit: usize,
    },
    /// A value that does not fit MessagePack.
    #[error("{what} cannot be encoded: {reason}")]
    Encode {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl From<io::Error> for WriteError {
    fn from(source: io::Error) -> Self {
        Self::Io { source }
    }
}
