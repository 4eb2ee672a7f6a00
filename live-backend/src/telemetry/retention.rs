//! How long recordings are kept: the oldest segments that nobody writes go first.
//!
//! Belongs here: which segments of a folder go. Does not belong here: names, locks (segment.rs), when.
//!
//! Only files that have the name of a segment, the header of the run they are named after, and no
//! writer are ever deleted; the newest segment of the run recorded here never is.

use super::segment::{self, SegmentName};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is kept of a folder's live runs; nothing is deleted where both are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Bytes of all segments together, the open one included.
    pub bytes: Option<u64>,
    /// Time since a segment was last written.
    pub time: Option<Duration>,
}

struct Held {
    name: SegmentName,
    path: PathBuf,
    bytes: u64,
    age: Duration,
}

/// Deletes what need not be kept; `open` is the segment written here. The answer is what was deleted.
pub(super) fn clear(folder: &Path, open: &Path, keep: Keep, now_wall_ns: u64) -> Vec<PathBuf> {
    if keep == Keep::default() {
        return Vec::new();
    }
    let held = match in_folder(folder, now_wall_ns) {
        Ok(held) => held,
        Err(error) => {
            tracing::warn!(%error, "old recordings in {} cannot be looked through: {error}", folder.display());
            return Vec::new();
        }
    };
    let mut total: u64 = held.iter().map(|it| it.bytes).sum();
    let mut deleted = Vec::new();
    for it in held {
        let is_too_much = keep.bytes.is_some_and(|most| total > most);
        let is_too_old = keep.time.is_some_and(|most| it.age > most);
        if !(is_too_much || is_too_old) || it.path == open {
            continue;
        }
        match delete(&it) {
            Ok(true) => {
                total = total.saturating_sub(it.bytes);
                let why = if is_too_old { "its age" } else { "the space" };
                tracing::info!(
                    bytes = it.bytes,
                    "deleted the recording {} because of {why} that recordings may take",
                    it.path.display()
                );
                deleted.push(it.path);
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the old recording {} cannot be deleted: {error}", it.path.display());
            }
        }
    }
    deleted
}

fn in_folder(folder: &Path, now_wall_ns: u64) -> std::io::Result<Vec<Held>> {
    let mut held = Vec::new();
    for name in segment::in_folder(folder)? {
        let path = name.path(folder);
        // One that went in between is none.
        let Ok(metadata) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if !metadata.is_file() {
            continue;
        }
        let written_at = metadata
            .modified()?
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        held.push(Held {
            name,
            path,
            bytes: metadata.len(),
            age: Duration::from_nanos(now_wall_ns).saturating_sub(written_at),
        });
    }
    Ok(held)
}

/// False where it is not ours to delete: written by somebody, or another kind of file under our name.
fn delete(held: &Held) -> std::io::Result<bool> {
    let Some(file) = segment::open_unused(&held.path)? else {
        return Ok(false);
    };
    if !held.name.is_true_of(&file) {
        return Ok(false);
    }
    std::fs::remove_file(&held.path)?;
    Ok(true)
}
