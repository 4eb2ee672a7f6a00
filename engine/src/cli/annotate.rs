//! `flowreel annotate RUN.reel --at T --text "…"`: notes and bookmarks that stand beside a reel.
//!
//! Belongs here: the file of notes, `RUN.reel.notes`, a JSON object a line. Does not belong here: the
//! reel, which stays as it is to the last byte.

use super::moment::Moment;
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::model::time::TimeNs;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Longest text of a note, in bytes.
const TEXT_BYTES_MAX: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Reel that the notes are about; without --text, its notes are listed.
    reel: PathBuf,
    /// Moment of the note.
    #[arg(long, value_name = "T", requires = "text")]
    at: Option<Moment>,
    /// What to note.
    #[arg(long, requires = "at")]
    text: Option<String>,
    /// Request it is about.
    #[arg(long, value_name = "ID", requires = "text")]
    request: Option<u64>,
    /// Component it is about.
    #[arg(long, value_name = "ID", requires = "text")]
    component: Option<String>,
    /// Number of a note to take away.
    #[arg(long, value_name = "N", conflicts_with = "text")]
    remove: Option<usize>,
}

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    t_ns: u64,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    component: Option<String>,
}

#[derive(Serialize)]
struct NotesAnswer<'a> {
    schema: &'static str,
    file: String,
    notes: &'a [Note],
}

/// The file of notes beside a reel.
pub(super) fn notes_path(reel: &Path) -> PathBuf {
    let mut name = reel.as_os_str().to_owned();
    name.push(".notes");
    PathBuf::from(name)
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let reader = reel_file::open(&args.reel)?;
    let path = notes_path(&args.reel);
    let mut notes = read(&path)?;
    if let (Some(at), Some(text)) = (args.at, &args.text) {
        let text = text.trim();
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(CliError::input(format!(
                "a note has 1 to {TEXT_BYTES_MAX} bytes, this one {}",
                text.len()
            )));
        }
        if let Some(name) = &args.component
            && reader.topology().component_named(name).is_none()
        {
            return Err(CliError::input(format!("there is no component `{name}`"))
                .at(args.reel.display().to_string())
                .hint("`flowreel info` lists them"));
        }
        notes.push(Note {
            t_ns: at.resolve(reader.meta().started_at_unix_ns)?.0,
            text: text.to_owned(),
            request: args.request.map(|id| id.to_string()),
            component: args.component.clone(),
        });
        notes.sort_by_key(|note| note.t_ns);
        write(&path, &notes)?;
    } else if let Some(number) = args.remove {
        if number == 0 || number > notes.len() {
            return Err(CliError::input(format!("there is no note {number}"))
                .at(path.display().to_string())
                .hint("`flowreel annotate RUN.reel` lists them with their numbers"));
        }
        notes.remove(number - 1);
        write(&path, &notes)?;
    }
    if console.json {
        console.answer(&NotesAnswer {
            schema: "flowreel.annotate/1",
            file: path.display().to_string(),
            notes: &notes,
        })?;
        return Ok(Outcome::Done);
    }
    for (index, note) in notes.iter().enumerate() {
        let about = [
            note.request.as_ref().map(|id| format!(" request {id}")),
            note.component.as_ref().map(|id| format!(" at {id}")),
        ];
        console.line(format_args!(
            "{:>4} {}{} {}",
            index + 1,
            TimeNs(note.t_ns),
            about.into_iter().flatten().collect::<String>(),
            note.text
        ))?;
    }
    Ok(Outcome::Done)
}

fn read(path: &Path) -> Result<Vec<Note>, CliError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
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
    lines
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| {
                CliError::input(format!("not a note: {error}"))
                    .at(format!("{}:{}", path.display(), index + 1))
                    .hint("mend or delete the line")
            })
        })
        .collect()
}

/// All notes into a new file that then takes the place of the old one, so that none is lost midway.
fn write(path: &Path, notes: &[Note]) -> Result<(), CliError> {
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
        std::fs::rename(&fresh, path)
    };
    attempt().map_err(|error| {
        CliError::environment(format!("the notes cannot be written: {error}"))
            .at(path.display().to_string())
            .hint("check that the folder may be written to and has room")
    })
}
