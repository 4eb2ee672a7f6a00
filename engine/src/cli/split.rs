//! `flowreel split RUN.reel --every 10s --out DIR`: a reel in pieces.
//!
//! Belongs here: names of files, the account of them. Does not belong here: cutting (editing).

use super::new_file::NewFile;
use super::notes::{self, Note};
use super::slice::{PieceAnswer, say_annotations};
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::editing::{EditError, SplitBy, split};
use flowreel_engine::model::time::parse_duration_ns;
use flowreel_engine::recording::{WriteError, file};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel split recordings/smtp-refuses.reel --every 10s --out pieces"
)]
pub(super) struct Args {
    /// Reel to split.
    reel: PathBuf,
    /// Length of each piece, such as 10s; `merge` joins the pieces to the same run again.
    #[arg(long, value_name = "D", value_parser = parse_length, required_unless_present = "by", conflicts_with = "by")]
    every: Option<u64>,
    /// What tells the pieces apart.
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Folder to write the pieces to; made where it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum By {
    Component,
    Class,
}

#[derive(Serialize)]
struct SplitAnswer {
    schema: &'static str,
    pieces: Vec<PieceAnswer>,
    /// Notes of people that went along, over all pieces.
    annotations: usize,
}

/// Whether a note belongs to the piece of that name: by its time, or by its component where it has one.
fn goes_along(note: &Note, by: SplitBy, name: &str) -> bool {
    match by {
        SplitBy::Time(length_ns) => format!("{:04}", note.t_ns / length_ns.max(1)) == name,
        SplitBy::Component => note.component.as_ref().is_none_or(|id| id == name),
        SplitBy::Class => true,
    }
}

fn parse_length(text: &str) -> Result<u64, String> {
    match parse_duration_ns(text) {
        Ok(0) => Err("a piece must be longer than 0 s".to_owned()),
        Ok(ns) => Ok(ns),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let reader = reel_file::open(&args.reel)?;
    let by = match (args.every, args.by) {
        (Some(ns), _) => SplitBy::Time(ns),
        (None, Some(By::Class)) => SplitBy::Class,
        (None, _) => SplitBy::Component,
    };
    if args.out.exists() && !args.out.is_dir() {
        return Err(
            CliError::input("this is a file, and the pieces need a folder")
                .at(args.out.display().to_string())
                .hint("name another --out"),
        );
    }
    std::fs::create_dir_all(&args.out)
        .map_err(|source| reel_file::write_error(&args.out, &WriteError::Io { source }))?;
    let stem = args.reel.file_stem().unwrap_or_default().to_string_lossy();
    let path_of = |name: &str| {
        // Ids of imported components can hold anything.
        let safe: String = name
            .chars()
            .map(|c| {
                if c.is_alphanumeric() || "-_.".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        args.out.join(format!("{stem}-{safe}.reel"))
    };
    let read = [args.reel.clone()];
    let mut new: Vec<(String, PathBuf, NewFile)> = Vec::new();
    let pieces = split(reader, by, |name| {
        // Two ids may differ in nothing but what a file's name cannot hold.
        let taken = |path: &PathBuf| new.iter().any(|(_, held, _)| held == path);
        let numbered = (2..).map(|number| path_of(&format!("{name}-{number}")));
        let path = std::iter::once(path_of(name))
            .chain(numbered)
            .find(|path| !taken(path))
            .unwrap_or_else(|| path_of(name));
        if file::is_same_file(&args.reel, &path)? {
            return Err(std::io::Error::other(
                "it would replace the reel that is read",
            ));
        }
        let (file, pending) = NewFile::create(&path)?;
        new.push((name.to_owned(), path, pending));
        Ok(file)
    })
    .map_err(|error: EditError| reel_file::edit_error(&read, &args.out, &error))?;
    let mut paths = BTreeMap::new();
    for (name, path, pending) in new {
        reel_file::keep(pending, &path)?;
        paths.insert(name, path);
    }
    let mut left_behind = notes::read_or_say(&args.reel, console);
    let notes = left_behind.clone();
    let mut annotations = 0;
    let mut told = Vec::new();
    for (name, summary) in &pieces {
        let path = paths
            .get(name)
            .expect("each piece was written under its name");
        let is_own = |note: &Note| goes_along(note, by, name);
        left_behind.retain(|note| !is_own(note));
        let own = notes.iter().filter(|note| is_own(note));
        annotations += notes::go_along(path, own.cloned().collect())?;
        told.push(PieceAnswer::new(path, summary));
    }
    if !left_behind.is_empty() {
        console.progress(format_args!(
            "flowreel: {} notes are about no piece and stay with {} only",
            left_behind.len(),
            args.reel.display()
        ));
    }
    let pieces = told;
    if console.json {
        console.answer(&SplitAnswer {
            schema: "flowreel.split/1",
            pieces,
            annotations,
        })?;
        return Ok(Outcome::Done);
    }
    for piece in &pieces {
        console.line(format_args!("{}", piece.line()))?;
    }
    say_annotations(annotations, console)?;
    Ok(Outcome::Done)
}
