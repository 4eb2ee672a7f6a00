//! Segments of runs as files: their names, which of a folder's files they are, who writes one now.
//!
//! Belongs here: names, file headers, locks. Does not belong here: bytes on their way (spool), which
//! segments are kept (retention), what they hold (engine).
//!
//! A segment is made as `NAME.part` and takes its own name once everything it begins with is written, so
//! whatever has the name of a segment can be opened (after a power failure its bytes may be missing). Its writer holds a lock on it, which ends with the
//! process, however that ends.

use super::clock::{Clock, rfc3339_from_ns};
use flowreel_engine::recording::RunId;
use flowreel_engine::recording::format::{FILE_HEADER_BYTES, FileHeader};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What the file of a segment is called: `live-20260131T120000Z-1a2b3c4d.0001.reel` sorts by the run's
/// start, then by number; two runs that begin in one second differ in their ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    run: String,
    pub(super) number: u32,
}

impl SegmentName {
    /// The first segment of a run.
    pub(super) fn first(clock: Clock, run_id: RunId) -> Self {
        let started = rfc3339_from_ns(clock.started_wall_ns());
        let second: String = started
            .chars()
            .take_while(|&letter| letter != '.')
            .filter(|letter| !matches!(letter, '-' | ':'))
            .collect();
        let run = format!("live-{second}Z-{}", short(run_id));
        Self { run, number: 1 }
    }

    /// The segment after this one.
    pub(super) fn next(&self) -> Self {
        Self {
            run: self.run.clone(),
            number: self.number.saturating_add(1),
        }
    }

    /// What a file of this name is, or `None` where it is nothing of ours.
    fn parse(name: &str) -> Option<Self> {
        let (run, number) = name.strip_suffix(".reel")?.rsplit_once('.')?;
        let (second, id) = run.strip_prefix("live-")?.split_once("Z-")?;
        let (day, time) = second.split_once('T')?;
        let is_ours = has_shape(day, 8, char::is_ascii_digit)
            && has_shape(time, 6, char::is_ascii_digit)
            && has_shape(id, 8, char::is_ascii_hexdigit)
            && number.len() >= 4
            && number.bytes().all(|digit| digit.is_ascii_digit());
        let number = number.parse().ok().filter(|&number| number > 0)?;
        is_ours.then(|| Self {
            run: run.to_owned(),
            number,
        })
    }

    pub(super) fn is_of_one_run(&self, other: &Self) -> bool {
        self.run == other.run
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.{:04}.reel", self.run, self.number))
    }

    /// True where the file's header names the run that its name does.
    pub(super) fn is_true_of(&self, file: &File) -> bool {
        let id = read_run_id(file).map(short);
        id.is_some_and(|id| self.run.ends_with(&format!("-{id}")))
    }
}

fn has_shape(text: &str, length: usize, is_allowed: fn(&char) -> bool) -> bool {
    text.len() == length && text.chars().all(|letter| is_allowed(&letter))
}

fn short(run_id: RunId) -> String {
    run_id.to_string().chars().take(8).collect()
}

fn read_run_id(mut file: &File) -> Option<RunId> {
    let mut header = [0; FILE_HEADER_BYTES];
    file.read_exact(&mut header).ok()?;
    FileHeader::decode(&header).ok().map(|header| header.run_id)
}

/// All segments of a folder, oldest run first; none where there is no such folder.
pub(super) fn in_folder(folder: &Path) -> std::io::Result<Vec<SegmentName>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(name.to_str().and_then(SegmentName::parse));
    }
    names.sort_unstable();
    Ok(names)
}

/// The file, locked for this process; `None` where another one writes it.
pub(super) fn open_unused(path: &Path) -> std::io::Result<Option<File>> {
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// What a segment is called until its beginning is written.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Makes a segment's file under its first name, and its folder, and locks it.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if path.exists() {
        return Err(std::io::ErrorKind::AlreadyExists.into());
    }
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(part_of(path))?;
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => std::io::ErrorKind::ResourceBusy.into(),
        std::fs::TryLockError::Error(error) => error,
    })?;
    // Only now: whoever held it may have been writing.
    file.set_len(0)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_sort_by_run_and_number() {
        let first = SegmentName::first(Clock::start(), RunId([0xab; 16]));
        let mut names = [first.next().next(), first.clone(), first.next()];
        names.sort_unstable();
        let shown: Vec<_> = names.iter().map(|name| name.path(Path::new(""))).collect();
        assert!(shown.is_sorted(), "{shown:?}");
        for (name, shown) in names.iter().zip(&shown) {
            let text = shown.to_str().expect("ASCII");
            assert_eq!(SegmentName::parse(text).as_ref(), Some(name), "{text}");
        }
        assert!(names[0].is_of_one_run(&names[2]));
    }

    #[test]
    fn what_another_process_writes_is_not_emptied() {
        let folder = crate::telemetry::recorder::tests::Folder::new("busy-segment");
        let path = folder.0.join("live.reel");
        std::fs::write(part_of(&path), b"written by another").unwrap();
        let other = File::open(part_of(&path)).unwrap();
        other.try_lock().unwrap();
        let refused = create(&path).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ResourceBusy);
        let kept = std::fs::read(part_of(&path)).unwrap();
        assert_eq!(kept, b"written by another");
        drop(other);
        assert_eq!(create(&path).unwrap().metadata().unwrap().len(), 0);
    }

    #[test]
    fn other_files_are_none_of_ours() {
        for name in [
            "",
            "live.reel",
            "live-20260131T120000Z-1a2b3c4d.reel",
            "live-20260131T120000Z-1a2b3c4d.0001.reel.part",
            "live-20260131T120000Z-1a2b3c4d.1.reel",
            "live-20260131T120000Z-1a2b3c4d.0000.reel",
            "live-2026013T1200000Z-1a2b3c4d.0001.reel",
            "live-20260131T120000Z-xyzxyzxy.0001.reel",
            "my-20260131T120000Z-1a2b3c4d.0001.reel",
            "live-20260131T120000Z-1a2b3c4d.0001.txt",
        ] {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
    }
}
