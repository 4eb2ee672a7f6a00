//! `flowreel import FILE… --out RUN.reel`: traces of other tools as a reel.
//!
//! Belongs here: reading files, writing the reel, the answer. Does not belong here: the formats (import).

use super::new_file::NewFile;
use super::{CliError, Console, Outcome};
use flowreel_engine::import::{
    Format, INPUT_BYTES_MAX, Import, ImportError, Input, Report, import,
};
use flowreel_engine::model::hash::RunHash;
use flowreel_engine::recording::{
    FinishInfo, ReelMeta, ReelWriter, RunId, RunSource, WriteError, file,
};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel import traces.json --out run.reel")]
pub(crate) struct Args {
    /// Files with traces, plain or gzip; together they become one run.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The reel to write; left out, the traces are only counted.
    #[arg(long, value_name = "RUN.reel")]
    out: Option<PathBuf>,
    /// What the files are.
    #[arg(long, value_enum, default_value = "auto")]
    format: FormatArgument,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FormatArgument {
    Auto,
    Otlp,
    Jaeger,
    Zipkin,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    traces: u64,
    spans: u64,
    errors: u64,
    services: &'a [String],
    edges: &'a [(String, String, u64)],
    skipped: u64,
    warnings: &'a [String],
    events: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let format = match args.format {
        FormatArgument::Auto => None,
        FormatArgument::Otlp => Some(Format::Otlp),
        FormatArgument::Jaeger => Some(Format::Jaeger),
        FormatArgument::Zipkin => Some(Format::Zipkin),
    };
    let mut names = Vec::with_capacity(args.files.len());
    let mut contents = Vec::with_capacity(args.files.len());
    for path in &args.files {
        // A file that is not there is said to be so before anything is asked about it.
        contents.push(read(path)?);
        if let Some(out) = &args.out
            && file::is_same_file(path, out)
                .map_err(|error| CliError::environment(error.to_string()))?
        {
            return Err(
                CliError::input("the reel would replace a file that is read")
                    .at(path.display().to_string())
                    .hint("name another --out"),
            );
        }
        names.push(path.display().to_string());
    }
    let inputs: Vec<Input<'_>> = names
        .iter()
        .zip(&contents)
        .map(|(name, bytes)| Input { name, bytes })
        .collect();
    let imported = import(&inputs, format).map_err(|error| refused(&error))?;
    if let Some(out) = &args.out {
        write(out, &imported, &names).map_err(|error| {
            CliError::environment(error.to_string())
                .at(out.display().to_string())
                .hint("check that the folder exists, may be written to and has room")
        })?;
    }
    answer(args, &imported, console)?;
    Ok(Outcome::Done)
}

fn refused(error: &ImportError) -> CliError {
    // The sentence names place, mistake and what to do; the answer has a field for each.
    let sentence = error.to_string();
    let place = error.place();
    let rest = place
        .as_deref()
        .and_then(|place| sentence.strip_prefix(place));
    let rest = rest.map_or(sentence.as_str(), |rest| rest.trim_start_matches(": "));
    let (what, hint) = rest.rsplit_once("; ").unwrap_or((rest, ""));
    let mut refused = CliError::input(what);
    if let Some(place) = place {
        refused = refused.at(place);
    }
    if hint.is_empty() {
        refused
    } else {
        refused.hint(hint)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let place = path.display().to_string();
    let fail = |error: &io::Error| {
        CliError::input(format!("the file cannot be read: {error}"))
            .at(place.clone())
            .hint("name a file with traces")
    };
    let metadata = std::fs::metadata(path).map_err(|error| fail(&error))?;
    if metadata.is_dir() {
        return Err(CliError::input("this is a folder")
            .at(place.clone())
            .hint("name the files in it"));
    }
    let mut bytes = Vec::new();
    let limit = INPUT_BYTES_MAX.saturating_add(1);
    let file = File::open(path).map_err(|error| fail(&error))?;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(&error))?;
    Ok(bytes)
}

fn write(out: &Path, imported: &Import, names: &[String]) -> Result<(), WriteError> {
    let mut hash = RunHash::default();
    for (event, _) in &imported.events {
        hash.add(event);
    }
    let run_id = RunId::derived_from(&["import", &hash.to_string()]);
    let mut meta = ReelMeta::new(run_id, RunSource::Import);
    meta.started_at_unix_ns = i64::try_from(imported.started_at_unix_ns).ok();
    let file_names: Vec<&str> = names
        .iter()
        .map(|name| name.rsplit(['/', '\\']).next().unwrap_or(name))
        .collect();
    meta.notes.insert("files".to_owned(), file_names.join(", "));
    let (file, new) = NewFile::create(out)?;
    let mut writer = ReelWriter::new(BufWriter::new(file), &meta, &imported.topology)?;
    for (event, detail) in &imported.events {
        match detail {
            Some(detail) => {
                writer.push_with_detail(event, detail)?;
            }
            None => writer.push(event)?,
        }
    }
    let (mut sink, _) = writer.finish(&FinishInfo::default())?;
    sink.flush()?;
    Ok(new.keep()?)
}

fn answer(args: &Args, imported: &Import, console: &mut Console<'_>) -> Result<(), CliError> {
    let report = &imported.report;
    let out = args.out.as_ref().map(|out| out.display().to_string());
    if console.json {
        return console.answer(&Answer {
            schema: "flowreel.import/1",
            traces: report.traces,
            spans: report.spans,
            errors: report.errors,
            services: &report.services,
            edges: &report.edges,
            skipped: report.skipped,
            warnings: &report.warnings,
            events: imported.events.len(),
            out,
        });
    }
    let Report {
        traces,
        spans,
        errors,
        services,
        edges,
        skipped,
        warnings,
    } = report;
    console.line(format_args!(
        "{traces} traces with {spans} spans, {errors} of them failed; {} services, {} edges, {skipped} items left out",
        services.len(),
        edges.len()
    ))?;
    for (from, to, count) in edges {
        console.line(format_args!("  {from} → {to} × {count}"))?;
    }
    for warning in warnings {
        console.line(format_args!("  note: {warning}"))?;
    }
    match out {
        Some(out) => console.line(format_args!(
            "{} events written to {out}",
            imported.events.len()
        )),
        None => console.line(format_args!("nothing written; name a reel with --out")),
    }
}
