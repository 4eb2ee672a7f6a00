//! Reels on the command line: opening one, and saying what is wrong with it.
//!
//! Belongs here: what all verbs over a reel share. Does not belong here: the format (recording).

use super::new_file::NewFile;
use super::{CliError, Outcome};
use flowreel_engine::editing::EditError;
use flowreel_engine::recording::{DecodeError, ReelError, ReelReader, WriteError, file};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

const HINT: &str = "name a reel, such as `flowreel simulate --out` or `flowreel-live` write";

/// Opens a reel.
pub(super) fn open(path: &Path) -> Result<ReelReader, CliError> {
    ReelReader::open(path).map_err(|error| read_error(path, &error))
}

/// Why a reel cannot be read, with its file and byte.
pub(super) fn read_error(path: &Path, error: &ReelError) -> CliError {
    let file = path.display();
    let place = match error.offset() {
        Some(offset) => format!("{file}: byte {offset}"),
        None => file.to_string(),
    };
    match error {
        ReelError::Io { source } if source.kind() == io::ErrorKind::NotFound => {
            CliError::input("there is no such file").at(place).hint(HINT)
        }
        ReelError::Io { .. } => CliError::environment(error.to_string())
            .at(place)
            .hint("check the file's permissions and the disk"),
        ReelError::Changed { .. } => CliError::environment(error.to_string()).at(place),
        ReelError::Decode {
            error: DecodeError::Version { .. },
            ..
        } => CliError::input(error.to_string()).at(place),
        ReelError::NotAFile { .. }
        | ReelError::Empty
        | ReelError::Decode {
            error: DecodeError::NotAReel,
            ..
        } => CliError::input(error.to_string()).at(place).hint(HINT),
        ReelError::Decode { .. } | ReelError::Missing { .. } => {
            CliError::input(error.to_string()).at(place).hint(
                "nothing after this place can be named; take a copy of the reel from before the damage",
            )
        }
    }
}

/// Why a reel cannot be written.
pub(super) fn write_error(path: &Path, error: &WriteError) -> CliError {
    let place = path.display().to_string();
    match error {
        WriteError::Io { .. } => CliError::environment(error.to_string())
            .at(place)
            .hint("check that the folder exists, may be written to and has room"),
        _ => CliError::input(error.to_string()).at(place),
    }
}

/// Creates a reel that none of the reels read is.
pub(super) fn create(out: &Path, read: &[&Path]) -> Result<(File, NewFile), CliError> {
    refuse_to_replace(out, read)?;
    NewFile::create(out).map_err(|source| write_error(out, &WriteError::Io { source }))
}

/// Gives a file that is whole its name.
pub(super) fn keep(new: NewFile, out: &Path) -> Result<(), CliError> {
    new.keep()
        .map_err(|source| write_error(out, &WriteError::Io { source }))
}

/// Refuses a new reel in the place of one that is read.
pub(super) fn refuse_to_replace(out: &Path, read: &[&Path]) -> Result<(), CliError> {
    let failed = |source| write_error(out, &WriteError::Io { source });
    for path in read {
        if file::is_same_file(path, out).map_err(failed)? {
            return Err(
                CliError::input("the new reel would replace one that is read")
                    .at(out.display().to_string())
                    .hint("name another --out"),
            );
        }
    }
    Ok(())
}

/// Why a reel cannot be made out of these.
pub(super) fn edit_error(read: &[PathBuf], out: &Path, error: &EditError) -> CliError {
    let nowhere = PathBuf::new();
    let path = |part: usize| read.get(part).unwrap_or(&nowhere);
    match error {
        EditError::Read { part, source } => read_error(path(*part), source),
        EditError::Write { source } => write_error(out, source),
        EditError::Create { .. } => CliError::environment(error.to_string())
            .at(out.display().to_string())
            .hint("check that the folder exists, may be written to and has room"),
        EditError::Topology { part } => {
            CliError::input(error.to_string()).at(path(*part).display().to_string())
        }
        EditError::Nothing | EditError::TooManyParts { .. } | EditError::TooMany { .. } => {
            CliError::input(error.to_string()).at(path(0).display().to_string())
        }
    }
}

/// Exit code of a check.
pub(super) const fn outcome(holds: bool) -> Outcome {
    if holds {
        Outcome::Done
    } else {
        Outcome::DoesNotHold
    }
}
