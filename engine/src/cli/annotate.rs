//! `flowreel annotate RUN.reel --at T --text "…"`: notes and bookmarks that stand beside a reel.
//!
//! Belongs here: making, listing and taking away notes. Does not belong here: the file they stand in
//! (notes), the reel, which stays as it is to the last byte.

use super::moment::Moment;
use super::notes::{self, Note};
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::scenario::nearest_hint;
use serde::Serialize;
use std::path::PathBuf;

/// Longest text of a note, in bytes.
const TEXT_BYTES_MAX: usize = 10_000;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel annotate recordings/smtp-refuses.reel --at 12s --text \"the relay refuses\""
)]
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

#[derive(Serialize)]
struct NotesAnswer<'a> {
    schema: &'static str,
    file: String,
    notes: &'a [Note],
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let reader = reel_file::open(&args.reel)?;
    let path = notes::path_of(&args.reel);
    let mut notes = notes::read(&args.reel)?;
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
            let known = reader.topology().components.iter();
            let known: Vec<&str> = known.map(|it| it.id.as_str()).collect();
            return Err(CliError::input(format!("there is no component `{name}`"))
                .at(args.reel.display().to_string())
                .hint(nearest_hint(name, &known)));
        }
        notes.push(Note {
            t_ns: at.resolve(reader.meta().started_at_unix_ns)?.0,
            text: text.to_owned(),
            request: args.request.map(|id| id.to_string()),
            component: args.component.clone(),
        });
        notes.sort_by_key(|note| note.t_ns);
        notes::write(&args.reel, &notes)?;
    } else if let Some(number) = args.remove {
        if number == 0 || number > notes.len() {
            return Err(CliError::input(format!("there is no note {number}"))
                .at(path.display().to_string())
                .hint("`flowreel annotate RUN.reel` lists them with their numbers"));
        }
        notes.remove(number - 1);
        notes::write(&args.reel, &notes)?;
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
        console.line(format_args!(
            "{:>4} {}{} {}",
            index + 1,
            TimeNs(note.t_ns),
            note.about(),
            note.text
        ))?;
    }
    Ok(Outcome::Done)
}
