//! `flowreel replay RUN.reel`: play a reel in the terminal.
//!
//! Belongs here: pacing, direction, stepping by key. Does not belong here: moving through a reel
//! (the library's replay), the animated graph (`flowreel view`).

use super::info::{GapAnswer, tell_gaps};
use super::moment::Moment;
use super::notes::{self, Note};
use super::{CliError, Console, Outcome, event_line, reel_file};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::ReelError;
use flowreel_engine::replay::{Playhead, Via};
use serde::Serialize;
use std::io::BufRead;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel replay recordings/smtp-refuses.reel --from 10s --to 12s --speed 4"
)]
pub(super) struct Args {
    /// Reel to play.
    reel: PathBuf,
    /// Begin at this moment.
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// End at this moment.
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// Times real time, or `max` for no waiting. Default: 1, or max with --json or --step.
    #[arg(long, value_name = "X|max")]
    speed: Option<Speed>,
    /// Wait for a line after each event: empty goes on, `b` goes back, `q` ends.
    #[arg(long, conflicts_with = "reverse")]
    step: bool,
    /// From the end to the beginning.
    #[arg(long)]
    reverse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    Max,
    Times(f64),
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let number = text.trim_end_matches(['x', '×']);
        let times: Option<f64> = number.parse().ok();
        times
            .filter(|&times| times.is_finite() && times > 0.0)
            .map(Self::Times)
            .ok_or_else(|| format!("`{text}` is no speed; write a number above 0, or max"))
    }
}

#[derive(Serialize)]
struct ReplayAnswer {
    schema: &'static str,
    events: u64,
    from_t_ns: u64,
    to_t_ns: u64,
    reverse: bool,
    /// State hash where the playhead came to rest.
    hash: String,
    position: u64,
    gaps: Vec<GapAnswer>,
    /// Notes of people in the stretch that was played.
    annotations: Vec<Note>,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let failed = |error: ReelError| reel_file::read_error(&args.reel, &error);
    let reader = reel_file::open(&args.reel)?;
    let (first, last) = reader.time_range().unwrap_or((TimeNs::ZERO, TimeNs::ZERO));
    let started_at = reader.meta().started_at_unix_ns;
    let resolve = |moment: Option<Moment>, default| {
        moment.map_or(Ok(default), |moment| moment.resolve(started_at))
    };
    let from = resolve(args.from, first)?;
    let to = resolve(args.to, last)?;
    if from > to {
        return Err(CliError::input(format!("--from {from} is after --to {to}"))
            .hint("the reel is played from the earlier moment; add --reverse to play backwards"));
    }
    let speed = args.speed.unwrap_or(if console.json || args.step {
        Speed::Max
    } else {
        Speed::Times(1.0)
    });
    let mut playhead = Playhead::new(reader).map_err(failed)?;
    let start = match from.0.checked_sub(1) {
        Some(before) => playhead.position_at(TimeNs(before)).map_err(failed)?,
        None => 0,
    };
    let end = playhead.position_at(to).map_err(failed)?;
    let mut notes = notes::read_or_say(&args.reel, console);
    notes.retain(|note| (from.0..=to.0).contains(&note.t_ns));
    if !console.json {
        console.line(format_args!("{}", event_line::HEAD))?;
    }
    let mut player = Player {
        args,
        speed,
        notes,
        shown: None,
        events: 0,
    };
    if args.step {
        playhead.go_to(start, Via::Seek).map_err(failed)?;
        player.step_through(&mut playhead, start..end, console)?;
    } else if args.reverse {
        player.play_back(&mut playhead, start..end, console)?;
        playhead.go_to(start, Via::Seek).map_err(failed)?;
    } else {
        playhead.go_to(start, Via::Seek).map_err(failed)?;
        while playhead.position() < end {
            let Some(event) = playhead.step().map_err(failed)? else {
                break;
            };
            player.show(&mut playhead, &event, console)?;
        }
    }
    if !args.step {
        player.show_notes_up_to(if args.reverse { from } else { to }, console)?;
    }
    let answer = ReplayAnswer {
        schema: "flowreel.replay/1",
        events: player.events,
        from_t_ns: from.0,
        to_t_ns: to.0,
        reverse: args.reverse,
        hash: playhead.state().state_hash().to_string(),
        position: playhead.position(),
        gaps: playhead
            .reader()
            .gaps()
            .iter()
            .map(GapAnswer::new)
            .collect(),
        annotations: player.notes,
    };
    tell_gaps(playhead.reader().gaps(), console);
    if console.json {
        console.answer(&answer)?;
    } else {
        console.line(format_args!(
            "{} events shown; state hash {}",
            answer.events, answer.hash
        ))?;
    }
    Ok(Outcome::Done)
}

struct Player<'a> {
    args: &'a Args,
    speed: Speed,
    /// Notes within the stretch, by time.
    notes: Vec<Note>,
    /// Time of the event shown last.
    shown: Option<TimeNs>,
    events: u64,
}

impl Player<'_> {
    fn show(
        &mut self,
        playhead: &mut Playhead,
        event: &StageEvent,
        console: &mut Console<'_>,
    ) -> Result<(), CliError> {
        self.show_notes_up_to(event.t_ns, console)?;
        let apart_ns = self.shown.map_or(0, |shown| {
            shown.since_ns(event.t_ns).max(event.t_ns.since_ns(shown))
        });
        self.shown = Some(event.t_ns);
        self.events += 1;
        if let Speed::Times(times) = self.speed
            && apart_ns > 0
        {
            console.flush()?;
            pause(apart_ns, times);
        }
        if console.json {
            return Ok(());
        }
        let detail = playhead
            .reader_mut()
            .read_detail(event.detail)
            .map_err(|error| reel_file::read_error(&self.args.reel, &error))?;
        let row = event_line::row(event, playhead.reader().topology(), detail.as_ref());
        console.line(format_args!("{row}"))
    }

    /// Notes between what was shown last and this moment, in the order of playing.
    fn show_notes_up_to(&self, now: TimeNs, console: &mut Console<'_>) -> Result<(), CliError> {
        let is_due = |note: &&Note| match self.shown {
            Some(shown) if now >= shown => shown.0 < note.t_ns && note.t_ns <= now.0,
            Some(shown) => now.0 <= note.t_ns && note.t_ns < shown.0,
            None if self.args.reverse => now.0 <= note.t_ns,
            None => note.t_ns <= now.0,
        };
        let mut due: Vec<&Note> = self.notes.iter().filter(is_due).collect();
        if self.args.reverse || self.shown.is_some_and(|shown| now < shown) {
            due.reverse();
        }
        if console.json {
            return Ok(());
        }
        for note in due {
            let at = TimeNs(note.t_ns).to_string();
            console.line(format_args!("note {at:>8}{} {}", note.about(), note.text))?;
        }
        Ok(())
    }

    /// Block by block from the end, without the states in between.
    fn play_back(
        &mut self,
        playhead: &mut Playhead,
        range: std::ops::Range<u64>,
        console: &mut Console<'_>,
    ) -> Result<(), CliError> {
        let mut batch = Vec::new();
        for position in (0..playhead.reader().event_blocks().len()).rev() {
            let is_outside = playhead
                .reader()
                .event_blocks()
                .get(position)
                .is_none_or(|block| block.first >= range.end || block.next_seq() <= range.start);
            if is_outside {
                continue;
            }
            playhead
                .reader_mut()
                .read_events(position, &mut batch)
                .map_err(|error| reel_file::read_error(&self.args.reel, &error))?;
            for event in batch
                .iter()
                .rev()
                .filter(|event| range.contains(&event.seq))
            {
                self.show(playhead, event, console)?;
            }
        }
        Ok(())
    }

    fn step_through(
        &mut self,
        playhead: &mut Playhead,
        range: std::ops::Range<u64>,
        console: &mut Console<'_>,
    ) -> Result<(), CliError> {
        let failed = |error: ReelError| reel_file::read_error(&self.args.reel, &error);
        let mut forward = true;
        loop {
            let event = if forward && playhead.position() < range.end {
                playhead.step().map_err(failed)?
            } else if !forward && playhead.position() > range.start {
                playhead.step_back().map_err(failed)?
            } else {
                None
            };
            match event {
                Some(event) => self.show(playhead, &event, console)?,
                None => console.line(format_args!("-- no event further this way --"))?,
            }
            console.flush()?;
            let mut line = String::new();
            let read = std::io::stdin()
                .lock()
                .read_line(&mut line)
                .map_err(|error| CliError::environment(format!("cannot read a line: {error}")))?;
            match line.trim() {
                _ if read == 0 => return Ok(()),
                "q" | "quit" => return Ok(()),
                "b" | "back" => forward = false,
                _ => forward = true,
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "playing at a speed is waiting for time to pass; nothing computed depends on it"
)]
#[expect(clippy::cast_precision_loss, reason = "nobody sees a nanosecond")]
fn pause(apart_ns: u64, times: f64) {
    if let Ok(wait) = Duration::try_from_secs_f64(apart_ns as f64 / 1e9 / times) {
        std::thread::sleep(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_and_nonsense_is_refused() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("0.25x".parse(), Ok(Speed::Times(0.25)));
        for text in ["0", "-1", "NaN", "inf", "fast", ""] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}
