//! Reads a reel from a file, from its start to its end.
//!
//! Belongs here: file bytes in pieces, progress. Does not belong here: what the bytes mean.

use super::decode::{Feed, Passed};
use super::{Message, Outlet, SourceError, Stopped};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes read at a time.
const PIECE_BYTES: usize = 256 * 1024;

pub(super) fn read(path: &Path, outlet: &Outlet) -> Result<(), Stopped> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        SourceError::Bad(format!(
            "recording {shown} cannot be read: {error}; name a .reel file, a .toml scenario or an address"
        ))
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len().max(1);
    let mut feed = Feed::new(outlet, shown.to_string(), Passed::default())?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut done: u64 = 0;
    loop {
        let count = file.read(&mut piece).map_err(unreadable)?;
        if count == 0 {
            return feed.end();
        }
        feed.feed(piece.get(..count).unwrap_or_default())?;
        done += count as u64;
        outlet.send(Message::Progress(share(done, length)))?;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a share for a line of text"
)]
fn share(done: u64, length: u64) -> f32 {
    (done as f64 / length as f64).min(1.0) as f32
}
