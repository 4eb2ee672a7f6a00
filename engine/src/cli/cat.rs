//! `flowreel cat RUN.reel`: the events, chosen and written out.
//!
//! Belongs here: filters and formats. Does not belong here: reading (recording), one line (event_line).

use super::event_line;
use super::info::tell_gaps;
use super::moment::Moment;
use super::{CliError, Console, Outcome, reel_file};
use clap::ValueEnum;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ComponentId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::ReelReader;
use flowreel_engine::scenario::nearest_hint;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel cat recordings/smtp-refuses.reel --kind email-bounced --from 10s --to 20s"
)]
pub(super) struct Args {
    /// Reel to read.
    reel: PathBuf,
    /// Only events at or after this moment.
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Only events at or before this moment.
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// Only events of this request.
    #[arg(long, value_name = "ID")]
    request: Option<u64>,
    /// Only events at or towards this component.
    #[arg(long, value_name = "ID")]
    component: Option<String>,
    /// Only events of this kind.
    #[arg(long, value_name = "K", value_parser = kind)]
    kind: Option<EventKind>,
    /// One JSON object a line, or a table for people.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Wait for what is still being written, until the reel ends.
    #[arg(long)]
    follow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Table,
}

fn kind(text: &str) -> Result<EventKind, String> {
    EventKind::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        format!(
            "`{text}` is no kind of event; {}",
            nearest_hint(text, &names)
        )
    })
}

/// What is asked for, resolved against the reel.
struct Filter {
    from: TimeNs,
    to: TimeNs,
    request: Option<RequestId>,
    component: Option<ComponentId>,
    kind: Option<EventKind>,
}

impl Filter {
    fn new(args: &Args, reader: &ReelReader) -> Result<Self, CliError> {
        let started_at = reader.meta().started_at_unix_ns;
        let resolve = |moment: Option<Moment>, default| {
            moment.map_or(Ok(default), |moment| moment.resolve(started_at))
        };
        let component = args.component.as_ref().map(|name| {
            reader.topology().component_named(name).ok_or_else(|| {
                let names: Vec<&str> = reader
                    .topology()
                    .components
                    .iter()
                    .map(|component| component.id.as_str())
                    .collect();
                CliError::input(format!("there is no component `{name}`"))
                    .at(args.reel.display().to_string())
                    .hint(nearest_hint(name, &names))
            })
        });
        Ok(Self {
            from: resolve(args.from, TimeNs::ZERO)?,
            to: resolve(args.to, TimeNs::MAX)?,
            request: args.request.map(RequestId),
            component: component.transpose()?,
            kind: args.kind,
        })
    }

    fn fits(&self, event: &StageEvent) -> bool {
        (self.from..=self.to).contains(&event.t_ns)
            && self.request.is_none_or(|request| event.request == request)
            && self.kind.is_none_or(|kind| event.kind == kind)
            && self
                .component
                .is_none_or(|id| event.component == id || event.peer == id)
    }
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let failed = |error| reel_file::read_error(&args.reel, &error);
    let mut reader = reel_file::open(&args.reel)?;
    let filter = Filter::new(args, &reader)?;
    if console.json {
        console.text("{\"schema\":\"flowreel.cat/1\",\"events\":[")?;
    } else if args.format == Format::Table {
        console.line(format_args!("{}", event_line::HEAD))?;
    }
    let mut writer = Lines {
        args,
        filter: &filter,
        batch: Vec::new(),
        is_first: true,
    };
    let mut done = 0;
    loop {
        writer.blocks_from(done, &mut reader, console)?;
        done = reader.event_blocks().len();
        if !args.follow || reader.is_complete() {
            break;
        }
        console.flush()?;
        while !reader.refresh().map_err(failed)? {
            wait();
        }
    }
    if console.json {
        console.line(format_args!("]}}"))?;
    }
    tell_gaps(reader.gaps(), console);
    Ok(Outcome::Done)
}

/// Writes chosen events block by block.
struct Lines<'a> {
    args: &'a Args,
    filter: &'a Filter,
    batch: Vec<StageEvent>,
    is_first: bool,
}

impl Lines<'_> {
    /// The blocks of events from this position on.
    fn blocks_from(
        &mut self,
        done: usize,
        reader: &mut ReelReader,
        console: &mut Console<'_>,
    ) -> Result<(), CliError> {
        let failed = |error| reel_file::read_error(&self.args.reel, &error);
        let filter = self.filter;
        let positions: Vec<usize> = match filter.request {
            Some(request) if done == 0 => reader.blocks_with_request(request).map_err(failed)?,
            // What was appended is little, and going through every header again is not.
            _ => (done..reader.event_blocks().len()).collect(),
        };
        for position in positions {
            let is_outside = reader.event_blocks().get(position).is_none_or(|block| {
                block.last_t_ns < filter.from.0 || block.first_t_ns > filter.to.0
            });
            if is_outside {
                continue;
            }
            reader
                .read_events(position, &mut self.batch)
                .map_err(failed)?;
            for event in self.batch.iter().filter(|event| filter.fits(event)) {
                let detail = reader.read_detail(event.detail).map_err(failed)?;
                let topology = reader.topology();
                if console.json || self.args.format == Format::Jsonl {
                    let text = event_line::json(event, topology, detail)?;
                    if !console.json {
                        console.line(format_args!("{text}"))?;
                        continue;
                    }
                    console.text(if self.is_first { "" } else { "," })?;
                    console.text(&text)?;
                    self.is_first = false;
                } else {
                    let row = event_line::row(event, topology, detail.as_ref());
                    console.line(format_args!("{row}"))?;
                }
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "to follow a file is to look again after a while; nothing computed depends on it"
)]
fn wait() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}
