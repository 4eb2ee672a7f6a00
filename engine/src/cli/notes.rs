//! Notes of people that stand beside a reel, in `RUN.reel.notes`: a JSON object a line.
//!
//! Belongs here: the file of notes, and which notes go along when a reel is cut or joined.
//! Does not belong here: making and listing them (annotate), the reel, which stays as it is.

use super::{CliError, Console};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) t_ns: u64,
    pub(super) text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) component: Option<String>,
}

impl Note {
    /// What it is about, for people: ` request 5 at mail`.
    pub(super) fn about(&self) -> String {
        let about = [
            self.request.as_ref().map(|id| format!(" request {id}")),
            self.component.as_ref().map(|id| format!(" at {id}")),
        ];
        about.into_iter().flatten().collect()
    }
}

/// The file of notes beside a reel.
pub(super) fn path_of(reel: &Path) -> PathBuf {
    let mut name = reel.as_os_str().to_owned();
    name.push(".notes");
    PathBuf::from(name)
}

/// The notes beside a reel, by time; none where there is no file.
pub(super) fn read(reel: &Path) -> Result<Vec<Note>, CliError> {
    let path = path_of(reel);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(CliError::input("the notes are no text")
                .at(path.display().to_string())
                .hint("mend the file or move it away"));
        }
        Err(error) => {
            return Err(
                CliError::environment(format!("the notes cannot be read: {error}"))
                    .at(path.display().to_string()),
            );
        }
    };
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let notes: Result<Vec<Note>, CliError> = lines
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| {
                CliError::input(format!("not a note: {error}"))
                    .at(format!("{}:{}", path.display(), index + 1))
                    .hint("mend or delete the line")
            })
        })
        .collect();
    let mut notes = notes?;
    notes.sort_by_key(|note| note.t_ns);
    Ok(notes)
}

/// As [`read`]; notes that cannot be read are left out, which a sentence says. The reel opens all the same.
pub(super) fn read_or_say(reel: &Path, console: &mut Console<'_>) -> Vec<Note> {
    read(reel).unwrap_or_else(|error| {
        console.progress(format_args!("flowreel: {error}; the notes are left out"));
        Vec::new()
    })
}

/// All notes into a new file that then takes the place of the old one, so that none is lost midway.
pub(super) fn write(reel: &Path, notes: &[Note]) -> Result<(), CliError> {
    let path = path_of(reel);
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let attempt = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&fresh)?;
        for note in notes {
            serde_json::to_writer(&mut file, note)?;
            file.write_all(b"\n")?;
        }
        file.sync_all()?;
        std::fs::rename(&fresh, &path)
    };
    attempt().map_err(|error| {
        CliError::environment(format!("the notes cannot be written: {error}"))
            .at(path.display().to_string())
            .hint("check that the folder may be written to and has room")
    })
}

/// Puts notes beside a new reel, in place of those of a reel that it replaced; returns how many.
pub(super) fn go_along(reel: &Path, mut notes: Vec<Note>) -> Result<usize, CliError> {
    notes.sort();
    notes.dedup();
    if !notes.is_empty() || path_of(reel).exists() {
        write(reel, &notes)?;
    }
    Ok(notes.len())
}
